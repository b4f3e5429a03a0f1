"""Samples on the way show how a student learns, and change nothing of what it learns."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from gpd.core.randomness import Stream, noise_of
from gpd.core.sampler import sample
from gpd.core.schedule import Grid
from gpd.core.velocity import Network
from gpd.data.strips import Strip as Samples
from gpd.data.strips import load_strip, save_strip
from gpd.distillation.album import open_album
from gpd.distillation.costs import strip_forwards
from gpd.distillation.stage import Stage
from gpd.distillation.trainer import train_stage
from gpd.documents import PromptsFacts, write_manifest
from gpd.params import Strip
from tests.distillation.test_trainer import SHAPE, interrupt, make_stage, weights
from tests.toy import HeadedNetwork, SmallNetwork, block_networks, text_of

SHOWN = {"strip": {"every": 8, "num_prompts": 3}}
NAMES = ["0", "8", "16", "20", "teacher"]


def stage_of(folder: Path, **changes: object) -> Stage:
    return make_stage(folder, 8, 8, 20, **changes)


def album_of(stage: Stage) -> Samples:
    album = open_album(stage)
    assert album is not None
    return album


def test_the_student_is_the_same_and_only_the_probe_costs_more(tmp_path: Path) -> None:
    without, other_ledger = train_stage(stage_of(tmp_path / "a"), Accelerator(cpu=True))
    shown = stage_of(tmp_path / "b", probe=SHOWN)
    student, ledger = train_stage(shown, Accelerator(cpu=True))
    assert torch.equal(weights(student), weights(without))
    spent = strip_forwards(shown.distill, shown.params, 48)
    assert spent == 3 * (4 * 6 + 96)
    default = shown.distill.probe.model_copy(update={"strip": Strip(every=50, num_prompts=3)})
    long = shown.params.model_copy(update={"iterations": 300})
    assert strip_forwards(shown.distill.model_copy(update={"probe": default}), long, 48) == 414  # docs/method.md
    assert ledger.forwards == other_ledger.forwards | {"probe": other_ledger.forwards["probe"] + spent}
    assert (ledger.losses, ledger.curve, ledger.after) == (other_ledger.losses, other_ledger.curve, other_ledger.after)
    assert open_album(stage_of(tmp_path / "a")) is None


def test_it_begins_with_the_start_and_ends_with_student_and_teacher(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, probe=SHOWN)
    student, _ = train_stage(stage, Accelerator(cpu=True))
    album = album_of(stage)
    assert (list(album.ends), album.prompts) == (NAMES, ["p-0", "p-1", "p-2"])
    assert np.allclose(album.ends["0"], sampled(SmallNetwork(), stage, 8), atol=1e-5)
    assert np.allclose(album.ends["20"], sampled(student, stage, 8), atol=1e-5)
    guided = sampled(stage.teacher, stage, 1, guidance_scale=stage.distill.guidance.end)
    assert np.allclose(album.ends["teacher"], guided, atol=1e-5)


def sampled(network: Network, stage: Stage, horizon: int, guidance_scale: float = 1.0) -> np.ndarray:
    """As any sampler walks it: in steps of `horizon` intervals from the strip's noise."""
    grid, starts = stage.grid, list(range(0, 48, horizon))
    own = Grid(grid.sigmas[[*starts, 48]], grid.timesteps[starts])
    noise = torch.stack([noise_of(SHAPE, stage.distill.seed, Stream.STRIP, n) for n in range(3)])
    negative, text = torch.zeros(1, 1, 1), text_of(1.0, -1.0, 0.5)
    return sample(network, noise, text, own, negative=negative, guidance_scale=guidance_scale)[-1].numpy()


@pytest.mark.parametrize("rank", [0, 2])
def test_an_interrupted_stage_has_all_of_it(tmp_path: Path, rank: int) -> None:
    def stage(folder: str) -> Stage:
        return dataclasses.replace(stage_of(tmp_path / folder, probe=SHOWN, lora_rank=rank), **block_networks(rank))

    train_stage(stage("a"), Accelerator(cpu=True))
    interrupt(stage("b"), 13)
    train_stage(stage("b"), Accelerator(cpu=True))
    whole, resumed = album_of(stage("a")), album_of(stage("b"))
    assert list(whole.ends) == list(resumed.ends) == NAMES
    assert all(np.array_equal(whole.ends[name], resumed.ends[name]) for name in NAMES)


def test_a_headed_student_is_shown_in_its_own_steps(tmp_path: Path) -> None:
    stage = dataclasses.replace(stage_of(tmp_path, objective="parallel", probe=SHOWN), student=HeadedNetwork())
    train_stage(stage, Accelerator(cpu=True))
    assert [ends.shape for ends in album_of(stage).ends.values()] == [(3, *SHAPE)] * len(NAMES)


def test_a_strip_comes_back_in_order(tmp_path: Path) -> None:
    ends = {name: np.full((2, *SHAPE), number, np.float32) for number, name in enumerate(("teacher", "100", "50", "0"))}
    save_strip(tmp_path, Samples(ends, ["p-a", "p-b"]))
    write_manifest(tmp_path, PromptsFacts(num_prompts=0, num_evaluation_prompts=0, num_clips=0), inputs={}, params={})
    strip = load_strip(tmp_path)
    assert strip is not None
    assert (list(strip.ends), strip.prompts) == (["0", "50", "100", "teacher"], ["p-a", "p-b"])
    assert all(np.array_equal(strip.ends[name], ends[name]) for name in ends)
    assert load_strip(tmp_path.parent) is None
