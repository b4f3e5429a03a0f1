import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpd.evaluation.metrics import frechet

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(40, 5)) @ RNG.normal(size=(5, 5))


def test_of_itself_is_zero() -> None:
    assert frechet.frechet_distance(FEATURES, FEATURES) == pytest.approx(0, abs=1e-9)


def test_shift_is_its_squared_length() -> None:
    shift = np.array([1.0, -2.0, 0.0, 0.5, 0.0])
    assert frechet.frechet_distance(FEATURES, FEATURES + shift) == pytest.approx(5.25)


def test_scaling_by_closed_form() -> None:
    """C2 = s^2 C1 gives (s - 1)^2 tr C1, when the means agree."""
    centred = FEATURES - FEATURES.mean(0)
    expected = 4 * np.trace(np.cov(centred, rowvar=False))
    assert frechet.frechet_distance(centred, 3 * centred) == pytest.approx(expected)


def test_gaussians_that_do_not_commute_by_closed_form() -> None:
    """In two dimensions tr (A B)^(1/2) = sqrt(tr(A B) + 2 sqrt(det(A B)))."""
    first, second = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[1.0, -0.8], [-0.8, 3.0]])
    product = first @ second
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    zero = np.zeros(2)
    expected = np.trace(first) + np.trace(second) - 2 * root
    assert frechet.frechet_of_moments(zero, first, zero, second) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_symmetric_and_unchanged_by_rotation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(12, 3)), rng.normal(size=(9, 3)) * 2 + 1
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    distance = frechet.frechet_distance(first, second)
    assert distance >= 0
    assert frechet.frechet_distance(second, first) == pytest.approx(distance, rel=1e-6)
    assert frechet.frechet_distance(first @ rotation, second @ rotation) == pytest.approx(distance, rel=1e-6)


def test_constant_features_are_no_trouble() -> None:
    constant = np.ones((10, 3))
    assert frechet.frechet_distance(constant, constant + 1) == pytest.approx(3)


def test_too_few_samples_says_how_many() -> None:
    assert frechet.num_samples_needed(5) == 10
    with pytest.raises(ValueError, match="5 features need 10 samples on each side, found 9"):
        frechet.frechet_distance(FEATURES, FEATURES[:9])


def test_formula_takes_the_same_rows_of_pairs_and_all_of_others() -> None:
    others, rows = FEATURES + 1.0, np.arange(20)
    paired = frechet.Frechet().statistic(FEATURES, others, is_paired=True)
    unpaired = frechet.Frechet().statistic(FEATURES, others, is_paired=False)
    assert paired is not None
    assert unpaired is not None
    assert paired(rows) == frechet.frechet_distance(FEATURES[:20], others[:20])
    assert unpaired(rows) == frechet.frechet_distance(FEATURES[:20], others)


def test_formula_without_others_or_with_too_few_rows_has_no_figure() -> None:
    formula = frechet.Frechet()
    assert formula.statistic(FEATURES, None, is_paired=True) is None
    statistic = formula.statistic(FEATURES, FEATURES, is_paired=True)
    assert statistic is not None
    assert statistic(np.arange(9)) is None
    assert formula.shortfall(FEATURES[:9], FEATURES) == "needs 10 clips on each side, found 9 and 40"


def test_latent_features_by_hand() -> None:
    latents = np.zeros((1, 2, 1, 1, 2))
    latents[0, 1, 0, 0] = [1, 3]
    assert frechet.latent_features(latents).tolist() == [[0, 2, 0, 1]]


def test_pixel_features_by_hand() -> None:
    """Red steps by 51 of 255 from frame to frame, that is 0.4 in -1..1; green and blue stay at -1."""
    clip = np.zeros((1, 2, 3, 3, 3), np.uint8)
    clip[0, 1, ..., 0] = 51
    features = frechet.pixel_features(clip)[0].reshape(5, 3)
    assert features[:, 0] == pytest.approx([-0.8, 0.2, 0.4, 0, 0], abs=1e-6)
    assert features[:, 1] == pytest.approx([-1, 0, 0, 0, 0], abs=1e-6)
