import json
from pathlib import Path

import pytest
import torch

from gpd.core.schedule import make_grid
from gpd.distillation.processes.share import Share
from gpd.distillation.states import clip_states
from gpd.distillation.states.pool import Pool, Steps
from gpd.distillation.states.starts import start_indices
from tests.distillation.forked import together

SHAPE = (2, 2, 4, 4)
GRID = make_grid(48, 3.0)


def walk_to(noise: torch.Tensor, prompts: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Marks each state with the index that it was walked to."""
    return ends.view(-1, 1, 1, 1, 1).expand_as(noise).float()


def make_pool(horizon: int = 8, is_final: bool = True, num_slots: int = 24) -> Pool:
    return Pool(num_slots, SHAPE, 5, Steps(48, horizon, is_final), walk_to, seed=0, share=Share())


def run(pool: Pool, num_batches: int, batch: int = 4) -> list[torch.Tensor]:
    """Indices seen; each state is moved on by one horizon."""
    seen = []
    for _ in range(num_batches):
        states = pool.take(batch)
        seen.append(states.grid_index)
        pool.advance(states, states.latents + pool.steps.horizon)
    return seen


@pytest.mark.parametrize(("horizon", "is_final"), [(1, False), (3, False), (5, False), (7, False), (8, True)])
def test_states_stay_where_a_step_fits_and_follow_their_trajectory(horizon: int, is_final: bool) -> None:
    pool = make_pool(horizon, is_final)
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
    assert torch.equal(whole.latents.all(), second.latents.all())
    assert torch.equal(whole.prompt, second.prompt)


def test_only_streamed_states_move_the_pool() -> None:
    pool = make_pool()
    pool.fill(4)
    before = pool.latents.all().clone()
    clips = [(torch.zeros(SHAPE), 0)]
    states = clip_states(clips, start_indices(48, 8, True), 8, GRID, range(4), seed=0)
    pool.advance(states, states.latents + 1)
    assert torch.equal(pool.latents.all(), before)


@pytest.mark.parametrize("number", [2, 3])
def test_processes_keep_the_pool_that_one_keeps(tmp_path: Path, number: int) -> None:
    """Of an odd number of slots and samples, so that some have less to do than others, or nothing."""
    horizon, batch = 7, 4

    def summary(share: Share) -> object:
        steps = Steps(48, horizon, is_final=False)
        pool = Pool(7, SHAPE, 5, steps, walk_to, seed=0, share=share)
        began = [pool.fill(1).tolist()]
        for _ in range(20):
            states = pool.take(batch)
            began.append(pool.advance(states, states.latents + horizon).tolist())
        state = pool.state_dict()
        latents = state.pop("latents")[:, 0, 0, 0, 0].tolist()
        return [began, latents, {name: tensor.tolist() for name, tensor in state.items()}]

    alone = summary(Share())
    works = [lambda index=index: summary(Share(index, number)) for index in range(number)]
    assert together(tmp_path, *works) == [json.loads(json.dumps(alone))] * number


def test_slots_are_taken_round_robin_and_a_batch_may_be_all_of_them() -> None:
    pool = make_pool(8, True, num_slots=6)
    pool.fill(6)
    first = [pool.take(4).slot.tolist() for _ in range(3)]
    assert sorted(first[0] + first[1][:2]) == sorted(first[1][2:] + first[2]) == list(range(6))
    assert first[0] + first[1][:2] == first[1][2:] + first[2]
    assert make_pool(8, True, num_slots=6).take(6).slot.tolist() == first[0] + first[1][:2]


def test_a_trajectory_ends_with_the_last_step_that_has_room() -> None:
    """Of 48 intervals six steps of 8; then it begins anew with the next number's prompt."""
    pool = make_pool(8, True, num_slots=1)
    pool.fill(1)
    assert [states.tolist() for states in run(pool, 8, batch=1)] == [[0], [8], [16], [24], [32], [40], [0], [8]]
    assert pool.state_dict()["counters"].tolist() == [2, 8]


def test_restarts_are_told_and_none_where_nothing_was_taken() -> None:
    pool = make_pool(8, True, num_slots=6)
    pool.fill(6)
    began = []
    for _ in range(6):
        states = pool.take(2)
        began.append(pool.advance(states, states.latents + 8).tolist())
    assert sum(map(len, began)) == 2  # of 0, 8 .. 40 one is at its end in each of two rounds
    nothing = make_pool(3, False)
    assert (
        nothing.advance(clip_states([(torch.zeros(SHAPE), 0)], torch.tensor([0]), 3, GRID, [0], seed=0), None).tolist()
        == []
    )  # type: ignore[arg-type]
