import torch
from hypothesis import given
from hypothesis import strategies as st

from gpd.core.schedule import make_grid
from gpd.distillation.states import clip_states, rollout_states, split_batch
from gpd.distillation.states.starts import start_indices

SHAPE = (2, 2, 4, 4)
GRID = make_grid(48, 3.0)


@given(st.integers(1, 40), st.lists(st.floats(0.01, 1), min_size=1, max_size=3), st.integers(0, 10_000))
def test_shares_add_up_in_every_batch_and_hold_over_many(batch: int, parts: list[float], first: int) -> None:
    shares = [part / sum(parts) for part in parts]
    counts = torch.tensor([split_batch(batch, shares, first + n * batch) for n in range(200)])
    assert (counts.sum(1) == batch).all()
    assert torch.allclose(counts.double().sum(0) / (200 * batch), torch.tensor(shares).double(), atol=0.05)


def test_a_source_without_a_share_is_never_asked() -> None:
    assert split_batch(1000, [0.0, 1.0, 0.0], 0) == [0, 1000, 0]
    assert split_batch(1000, [0.5, 0.5, 0.0], 0)[2] == 0


def test_noised_clips_have_the_noise_level_of_their_index() -> None:
    clips = [(torch.full((2, 8, 32, 32), 5.0), 3), (torch.full((2, 8, 32, 32), -5.0), 4)]
    states = clip_states(clips, start_indices(48, 1, False), 1, GRID, range(32, 48), seed=0)
    sigma = GRID.sigmas[states.grid_index]
    sign = torch.where(states.prompt == 3, 5.0, -5.0)
    assert set(states.prompt.tolist()) == {3, 4}
    assert torch.allclose(states.latents.mean(dim=(1, 2, 3, 4)), ((1 - sigma) * sign).float(), atol=0.05)
    assert torch.allclose(states.latents.std(dim=(1, 2, 3, 4)), sigma.float(), atol=0.05)
    assert not states.is_known.any()


def test_stored_roll_outs_bring_their_target_along() -> None:
    trajectory = torch.arange(49.0).view(49, 1, 1, 1, 1).expand(49, *SHAPE)
    states = rollout_states([(trajectory, 2)], start_indices(48, 8, True), 8, range(12), seed=0)
    assert states.is_known.all()
    assert torch.equal(states.latents[:, 0, 0, 0, 0], states.grid_index.float())
    assert torch.equal(states.end, states.latents + 8)


def test_batches_do_not_depend_on_what_was_drawn_before() -> None:
    clips = [(torch.randn(SHAPE), n) for n in range(7)]
    starts = start_indices(48, 2, False)
    first = clip_states(clips, starts, 8, GRID, range(8, 12), seed=1)
    torch.randn(10)
    second = clip_states(clips, starts, 8, GRID, range(8, 12), seed=1)
    other = clip_states(clips, starts, 8, GRID, range(12, 16), seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first.latents, other.latents)
    shorter = clip_states(clips, starts, 8, GRID, range(8, 10), seed=1)
    assert all(torch.equal(a[:2], b) for a, b in zip(first, shorter, strict=True))
