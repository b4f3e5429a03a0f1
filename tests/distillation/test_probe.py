import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpd.distillation.batches import make_batch
from gpd.distillation.costs import probe_walk_forwards
from gpd.distillation.objectives import get_objective
from gpd.distillation.probe import probe, probe_states
from gpd.distillation.processes.share import Share
from tests.distillation.forked import together
from tests.distillation.test_trainer import make_stage

GPD = get_objective("gpd")


@pytest.mark.parametrize("has_clips", [True, False])
def test_the_states_spread_over_the_grid_and_are_the_same_at_every_call(tmp_path: Path, has_clips: bool) -> None:
    stage = make_stage(tmp_path, 8, 4, 1)
    stage = stage if has_clips else dataclasses.replace(stage, clips=[])
    first, second = (probe_states(stage, Share(), 6) for _ in range(2))
    assert sorted(first.grid_index.tolist()) == sorted([0, 8, 16, 24, 32, 40] * 2)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_teacher_itself_has_no_distance_to_its_own_way(tmp_path: Path) -> None:
    """At horizon 1 without guidance, target and true roll-out are the teacher's velocity."""
    stage = make_stage(tmp_path, 1, 1, 1, guidance={"start": 1.0, "end": 1.0})
    found, forwards = probe(stage, GPD, stage.teacher, None, Share(), 6)
    assert found.residual == pytest.approx(0.0, abs=1e-8)
    assert found.rollout_distance == pytest.approx(0.0, abs=1e-4)
    assert forwards == {"probe": 12 * (2 + 2 + 1)}


def test_a_network_that_gives_no_numbers_is_named(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 1, 1, 1)
    with pytest.raises(FloatingPointError, match="distill k1: probed"):
        probe(stage, GPD, lambda latents, timesteps, text: latents * float("nan"), None, Share(), 6)  # type: ignore[arg-type]


def nothing(latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(latents)


@pytest.mark.parametrize("at_once", [5, 12])
def test_a_network_of_zeros_is_as_far_as_the_way_is_long(tmp_path: Path, at_once: int) -> None:
    """The distance of each state is 1; the residual is the mean square of the targets."""
    stage = make_stage(tmp_path, 8, 8, 1)
    found, _ = probe(stage, GPD, nothing, None, Share(), at_once)  # type: ignore[arg-type]
    assert found.rollout_distance == pytest.approx(1.0, abs=1e-6)
    batch = make_batch(stage, GPD, probe_states(stage, Share(), 12), 1.0)
    assert found.residual == pytest.approx(GPD.target(stage, batch, None).velocity.square().mean().item(), rel=1e-5)  # type: ignore[attr-defined]


def test_the_guidance_is_that_of_the_stages_end(tmp_path: Path) -> None:
    """There it is 1, so that the teacher without guidance is its own target."""
    stage = make_stage(tmp_path, 1, 1, 1, guidance={"start": 6.0, "end": 1.0, "axis": "iteration"})
    found, _ = probe(stage, GPD, stage.teacher, None, Share(), 6)
    assert found.residual == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("tail", [4, 8])
def test_without_clips_the_walks_to_the_states_are_counted(tmp_path: Path, tail: int) -> None:
    stage = dataclasses.replace(make_stage(tmp_path, 8, tail, 1), clips=[])
    _, forwards = probe(stage, GPD, nothing, None, Share(), 5)  # type: ignore[arg-type]
    walked = forwards.get("previous", 0) + forwards.get("teacher", 0)
    assert walked == probe_walk_forwards(stage.distill, stage.params, 48)
    counted = stage.teacher.num_forwards + (stage.previous.num_forwards if stage.previous else 0)
    assert counted + 12 == forwards["probe"] + walked  # `nothing` is asked once for each state


def test_processes_measure_what_one_does(tmp_path: Path) -> None:
    """Of 12 states 5 have 3 or 2 each."""

    def measured(share: Share) -> Callable[[], object]:
        def work() -> object:
            stage = dataclasses.replace(make_stage(tmp_path, 8, 8, 1), clips=[])
            found, forwards = probe(stage, GPD, nothing, None, share, 2)  # type: ignore[arg-type]
            return [round(found.residual, 5), round(found.rollout_distance, 5), forwards]

        return work

    ended = together(tmp_path / "group", *(measured(Share(index, 5)) for index in range(5)))
    assert ended == [json.loads(json.dumps(measured(Share())()))] * 5
