import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpd.core.schedule import make_grid
from gpd.distillation.stream import Pool, clip_states, nth_in_epochs, rollout_states, split_batch, start_indices

SHAPE = (2, 2, 4, 4)
GRID = make_grid(48, 3.0)


def walk_to(noise: torch.Tensor, prompts: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Marks each state with the index that it was walked to."""
    return ends.view(-1, 1, 1, 1, 1).expand_as(noise).float()


def make_pool(horizon: int = 8, is_last: bool = True, num_slots: int = 24) -> Pool:
    return Pool(
        num_slots=num_slots,
        latent_shape=SHAPE,
        num_prompts=5,
        num_steps=48,
        horizon=horizon,
        is_last=is_last,
        seed=0,
        rank=0,
        walk=walk_to,
    )


def run(pool: Pool, num_batches: int, batch: int = 4) -> list[torch.Tensor]:
    """Indices seen; each state is moved on by one horizon."""
    seen = []
    for _ in range(num_batches):
        states = pool.take(batch)
        seen.append(states.grid_index)
        pool.advance(states, states.latents + pool.horizon)
    return seen


@pytest.mark.parametrize(("horizon", "is_last"), [(1, False), (3, False), (5, False), (7, False), (8, True)])
def test_states_stay_where_a_step_fits_and_follow_their_trajectory(horizon: int, is_last: bool) -> None:
    pool = make_pool(horizon, is_last)
    pool.fill(4)
    for _ in range(200):
        states = pool.take(4)
        assert (states.grid_index + horizon <= 48).all()
        assert torch.equal(states.latents[:, 0, 0, 0, 0], states.grid_index.float())  # walk_to and `run` mark the index
        pool.advance(states, states.latents + horizon)


def test_the_last_stage_starts_where_inference_does() -> None:
    pool = make_pool(8, True)
    pool.fill(4)
    assert set(torch.cat(run(pool, 100)).tolist()) == {0, 8, 16, 24, 32, 40}


@pytest.mark.parametrize("horizon", [5, 7])
def test_a_horizon_that_does_not_divide_the_grid_visits_every_start(horizon: int) -> None:
    pool = make_pool(horizon, False)
    pool.fill(4)
    assert set(torch.cat(run(pool, 600)).tolist()) == set(range(48 - horizon + 1))


def test_a_filled_pool_covers_the_grid_at_once() -> None:
    pool = make_pool(1, False, num_slots=48)
    pool.fill(16)
    assert sorted(pool.index.tolist()) == list(range(48))


def test_a_resumed_pool_goes_on_as_if_nothing_happened() -> None:
    whole, first = make_pool(3, False), make_pool(3, False)
    whole.fill(4)
    first.fill(4)
    expected = run(whole, 60)
    seen = run(first, 25)
    state = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    second = make_pool(3, False)
    second.load_state_dict(state)
    assert torch.equal(torch.cat(expected), torch.cat(seen + run(second, 35)))
    assert torch.equal(whole.latents, second.latents)
    assert torch.equal(whole.prompt, second.prompt)


def test_only_streamed_states_move_the_pool() -> None:
    pool = make_pool()
    pool.fill(4)
    before = pool.latents.clone()
    clips = [(torch.zeros(SHAPE), 0)]
    states = clip_states(clips, start_indices(48, 8, True), GRID, batch=4, counter=0, seed=0)
    pool.advance(states, states.latents + 1)
    assert torch.equal(pool.latents, before)


@given(st.integers(1, 50), st.integers(0, 5), st.integers(0, 1000))
def test_each_epoch_sees_each_element_once(length: int, epoch: int, seed: int) -> None:
    seen = [nth_in_epochs(epoch * length + n, length, seed) for n in range(length)]
    assert sorted(seen) == list(range(length))


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
    states = clip_states(clips, start_indices(48, 1, False), GRID, batch=16, counter=32, seed=0)
    sigma = GRID.sigmas[states.grid_index]
    sign = torch.where(states.prompt == 3, 5.0, -5.0)
    assert set(states.prompt.tolist()) == {3, 4}
    assert torch.allclose(states.latents.mean(dim=(1, 2, 3, 4)), ((1 - sigma) * sign).float(), atol=0.05)
    assert torch.allclose(states.latents.std(dim=(1, 2, 3, 4)), sigma.float(), atol=0.05)
    assert not states.is_known.any()


def test_stored_roll_outs_bring_their_target_along() -> None:
    trajectory = torch.arange(49.0).view(49, 1, 1, 1, 1).expand(49, *SHAPE)
    states = rollout_states([(trajectory, 2)], start_indices(48, 8, True), 8, batch=12, counter=0, seed=0)
    assert states.is_known.all()
    assert torch.equal(states.latents[:, 0, 0, 0, 0], states.grid_index.float())
    assert torch.equal(states.end, states.latents + 8)


def test_batches_do_not_depend_on_what_was_drawn_before() -> None:
    clips = [(torch.randn(SHAPE), n) for n in range(7)]
    starts = start_indices(48, 2, False)
    first = clip_states(clips, starts, GRID, batch=4, counter=8, seed=1)
    torch.randn(10)
    second = clip_states(clips, starts, GRID, batch=4, counter=8, seed=1)
    other = clip_states(clips, starts, GRID, batch=4, counter=12, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first.latents, other.latents)
