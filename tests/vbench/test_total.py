import pytest

from gpd.artifacts import UserError
from gpd.vbench.total import DIMENSIONS, QUALITY, SEMANTIC, WEIGHTS, compute_total, missing_dimensions, normalise

LOWEST = {name: low for name, (low, _) in (QUALITY | SEMANTIC).items()}
HIGHEST = {name: high for name, (_, high) in (QUALITY | SEMANTIC).items()}


def test_there_are_16_and_only_dynamic_degree_weighs_half() -> None:
    assert len(DIMENSIONS) == 16
    assert {name for name, weight in WEIGHTS.items() if weight != 1} == {"dynamic_degree"}


def test_the_ends_of_the_ranges() -> None:
    assert compute_total(LOWEST).total == 0
    assert compute_total(HIGHEST).total == pytest.approx(1)


def test_dynamic_degree_by_hand() -> None:
    """All of quality but the dynamic degree: 6 of 6.5; with the semantic half at 0: 4/5 of it."""
    found = compute_total(LOWEST | {name: HIGHEST[name] for name in QUALITY} | {"dynamic_degree": 0.0})
    assert found.quality == pytest.approx(6 / 6.5)
    assert found.semantic == 0
    assert found.total == pytest.approx(0.8 * 6 / 6.5)


def test_one_semantic_dimension_by_hand() -> None:
    """scene .4111 is half of .8222; one of nine, and the semantic score is a fifth of the total."""
    found = compute_total(LOWEST | {"scene": 0.4111})
    assert found.semantic == pytest.approx(0.5 / 9)
    assert found.total == pytest.approx(0.5 / 9 / 5)


def test_a_whole_sheet_by_hand() -> None:
    """Quality (.9, .8, .95, .9, .6, .65, .6 as normalised) is (4.8 + .3) / 6.5; semantic, all .5, is .5."""
    shares = dict(zip(QUALITY, (0.9, 0.8, 0.95, 0.9, 0.6, 0.65, 0.6), strict=True))
    ranges = QUALITY | SEMANTIC
    scores = {name: low + shares.get(name, 0.5) * (high - low) for name, (low, high) in ranges.items()}
    found = compute_total(scores)
    assert found.quality == pytest.approx(5.1 / 6.5)
    assert found.semantic == pytest.approx(0.5)
    assert found.total == pytest.approx((4 * 5.1 / 6.5 + 0.5) / 5)
    assert str(found) == "total 72.77 (quality 78.46, semantic 50.00), dynamic degree 60.00"


def test_a_missing_dimension_is_an_error_that_names_it() -> None:
    scores = {name: value for name, value in HIGHEST.items() if name not in ("scene", "color")}
    assert missing_dimensions(scores) == ["color", "scene"]
    with pytest.raises(UserError, match="needs all 16 dimensions; missing: color, scene"):
        compute_total(scores)


def test_an_unknown_dimension_is_an_error() -> None:
    with pytest.raises(UserError, match="no dimension 'colour'"):
        compute_total(HIGHEST | {"colour": 1.0})


def test_normalise_temporal_flickering_by_hand() -> None:
    assert normalise("temporal_flickering", 0.6293 + 0.3707 / 4) == pytest.approx(0.25)
