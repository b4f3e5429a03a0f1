import math

import pytest
import torch

from gpd.distillation.losses import high_frequency_mask, masked_square_residual, square_residual, step_weights

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


def wave(frames: int, columns: int) -> torch.Tensor:
    """Cosine with so many periods over 8 frames and 8 columns."""
    frame, column = torch.arange(8).view(8, 1, 1), torch.arange(8).view(1, 1, 8)
    return torch.cos(2 * math.pi * (frames * frame + columns * column) / 8).expand(8, 8, 8)[None, None]


@pytest.mark.parametrize(
    ("frames", "columns", "cutoffs", "is_counted"),
    [
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
    values = wave(frames, columns)
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
