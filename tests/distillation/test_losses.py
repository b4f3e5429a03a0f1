import math
from pathlib import Path

import pytest
import torch

from gpd.distillation.losses import (
    FrequencyLoss,
    high_frequency_mask,
    make_loss,
    masked_square_residual,
    spectrum_weights,
    square_residual,
    step_weights,
)
from tests.distillation.test_trainer import make_stage

SHAPE = (2, 3, 5, 8, 8)


def residuals() -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("width", [7, 8])
def test_full_mask_is_the_plain_loss_by_parseval(width: int) -> None:
    values = torch.randn(2, 3, 5, 8, width)
    full = torch.ones(5, 8, width // 2 + 1, dtype=torch.bool)
    zero = torch.zeros_like(values)
    assert torch.allclose(masked_square_residual(values, zero, full), square_residual(values, zero), rtol=1e-5)


def test_a_mask_and_its_complement_share_the_loss() -> None:
    mask = high_frequency_mask((5, 8, 8), 0.5, 0.5)
    zero = torch.zeros(SHAPE)
    parts = masked_square_residual(residuals(), zero, mask) + masked_square_residual(residuals(), zero, ~mask)
    assert torch.allclose(parts, square_residual(residuals(), zero), rtol=1e-5)


def test_cutoffs_of_one_constrain_nothing_and_of_zero_all_but_the_mean() -> None:
    assert not high_frequency_mask((5, 8, 8), 1.0, 1.0).any()
    mask = high_frequency_mask((5, 8, 8), 0.0, 1.0)
    assert mask[1:].all()
    assert not mask[0].any()


def wave(frames: int, columns: int, rows: int = 0) -> torch.Tensor:
    """Cosine with so many periods over 8 frames, 8 columns and 8 rows."""
    frame, row, column = torch.arange(8).view(8, 1, 1), torch.arange(8).view(1, 8, 1), torch.arange(8).view(1, 1, 8)
    return torch.cos(2 * math.pi * (frames * frame + rows * row + columns * column) / 8).expand(8, 8, 8)[None, None]


@pytest.mark.parametrize(
    ("frames", "columns", "cutoffs", "is_counted"),
    [
        (2, 0, (0.5, 1.0), False),  # at the cut-off, not above it
        (0, 2, (1.0, 0.5), False),
        (0, 1, (1.0, 0.5), False),
        (0, 3, (1.0, 0.5), True),
        (3, 0, (1.0, 0.5), False),
        (3, 0, (0.5, 1.0), True),
        (0, 3, (0.5, 1.0), False),
        (1, 1, (0.5, 0.5), False),
        (1, 3, (0.5, 0.5), True),
    ],
)
def test_each_cutoff_sees_its_own_axis(
    frames: int, columns: int, cutoffs: tuple[float, float], is_counted: bool
) -> None:
    mask = high_frequency_mask((8, 8, 8), *cutoffs)
    for values in (wave(frames, columns), wave(frames, 0, rows=columns)):
        loss = masked_square_residual(values, torch.zeros_like(values), mask)
        expected = square_residual(values, torch.zeros_like(values)) if is_counted else torch.zeros(1)
        assert torch.allclose(loss, expected, atol=1e-6)


def test_loss_by_hand_and_a_sample_each() -> None:
    velocity = torch.stack([torch.full(SHAPE[1:], 2.0), torch.full(SHAPE[1:], 3.0)])
    assert square_residual(velocity, torch.ones(SHAPE)).tolist() == [1.0, 4.0]


def test_step_weights_are_step_lengths_over_their_mean() -> None:
    sigmas = torch.tensor([1.0, 0.9, 0.7, 0.4, 0.0])
    starts = torch.tensor([0, 2])  # steps of 0.3 and 0.7
    assert step_weights(sigmas, torch.tensor([2, 0]), 2, starts).tolist() == pytest.approx([1.4, 0.6])


def test_bins_of_the_half_spectrum_stand_for_themselves_and_their_mirrors() -> None:
    assert spectrum_weights(8).tolist() == [1, 2, 2, 2, 1]
    assert spectrum_weights(7).tolist() == [1, 2, 2, 2]
    assert spectrum_weights(2).tolist() == [1, 1]


def test_the_loss_weighs_samples_and_high_frequencies_by_hand() -> None:
    """With every bin masked the frequency term is the residual once more: 1 and 4, weighted 2 and 3, mean 7."""
    velocity = torch.stack([torch.full(SHAPE[1:], 2.0), torch.full(SHAPE[1:], 3.0)])
    mask, of_sample = torch.ones(5, 8, 5, dtype=torch.bool), torch.tensor([2.0, 3.0])
    loss = FrequencyLoss(mask, 0.5)(velocity, torch.ones(SHAPE), of_sample)
    assert [part.item() for part in loss] == pytest.approx([10.5, 7.0, 7.0])
    assert [part.item() for part in loss.times(0.25)] == pytest.approx([10.5 / 4, 7.0 / 4, 7.0 / 4])
    plain = FrequencyLoss(mask, 0.0)(velocity, torch.ones(SHAPE), of_sample)
    assert [part.item() for part in plain] == pytest.approx([7.0, 7.0, 0.0])


@pytest.mark.parametrize(("stages", "weight"), [(["k8"], 0.25), (["k4"], 0.0), ([], 0.0)])
def test_a_stage_has_the_weight_that_the_settings_name_it_for(tmp_path: Path, stages: list[str], weight: float) -> None:
    frequency = {"weight": 0.25, "temporal_cutoff": 0.4, "spatial_cutoff": 0.6, "stages": stages}
    loss = make_loss(make_stage(tmp_path, 8, 8, 1, frequency=frequency))
    assert loss.weight == weight
    assert torch.equal(loss.mask, high_frequency_mask((2, 4, 4), 0.4, 0.6))


def test_steps_that_would_pass_the_end_count_as_ending_there() -> None:
    sigmas = torch.tensor([1.0, 0.9, 0.7, 0.4, 0.0])
    starts = torch.tensor([0, 2, 3])  # steps of 0.3, 0.7, and 0.4 of one interval: 1.4 / 3 in the mean
    assert step_weights(sigmas, torch.tensor([1]), 2, starts).tolist() == pytest.approx([0.5 / 1.4 * 3])
