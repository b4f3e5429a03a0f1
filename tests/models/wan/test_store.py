import json
from pathlib import Path

import pytest
import torch

from gpd.core.randomness import seeded_noise
from gpd.core.sampler import sample
from gpd.core.schedule import make_grid
from gpd.core.velocity import stack_text
from gpd.models import wan
from gpd.models.families import open_model
from gpd.sampling.subject import student_grid
from tests.models.wan.states import CAPTION, SHAPE, distance, stepped
from tests.plain import plain_latents


@pytest.fixture(scope="module")
def student(small_wan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("students") / "k8"
    base = open_model(small_wan)
    base.save_student(folder, base.load_network(merge_padding=True), grid_steps=48, shift=3.0)
    return folder


@pytest.mark.parametrize(
    ("steps", "guidance_scale"), [(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (6, 1.0), (12, 1.0), (6, 4.0), (48, 4.0)]
)
def test_plain_diffusers_samples_what_we_sample(
    small_wan: Path, student: Path, steps: int, guidance_scale: float
) -> None:
    noise = seeded_noise(SHAPE, seed=0, index=0)
    theirs = plain_latents(student, CAPTION, noise, steps=steps, guidance_scale=guidance_scale)
    encoder = wan.TextEncoder(small_wan)
    ours = sample(
        wan.load_network(student, merge_padding=True),
        noise,
        stack_text(encoder.encode([CAPTION])),
        student_grid(48, 48 // steps, 3.0),
        negative=stack_text(encoder.encode([""])),
        guidance_scale=guidance_scale,
    )[-1]
    assert distance(ours, theirs) < 1e-4


def test_shorter_steps_come_back_beside_a_pipeline_that_does_without(small_wan: Path, tmp_path: Path) -> None:
    from diffusers import WanPipeline

    network = wan.load_network(small_wan, merge_padding=True)
    torch.nn.init.normal_(network.embed_steps([2, 4]).vectors)
    open_model(small_wan).save_student(tmp_path / "k8", network, grid_steps=48, shift=3.0)
    again = open_model(tmp_path / "k8").load_network(merge_padding=True)
    plain = wan.VelocityNetwork(WanPipeline.from_pretrained(tmp_path / "k8").transformer)
    with torch.no_grad():
        assert torch.equal(stepped(again, 2, 4, 8), stepped(network, 2, 4, 8))
    text, noise = torch.randn(1, 4, 64), seeded_noise(SHAPE, seed=0, index=0)
    grid = make_grid(48, 3.0)
    assert torch.equal(sample(again, noise, text, grid.every(8))[-1], sample(plain, noise, text, grid.every(8))[-1])
    assert distance(sample(again.at(4), noise, text, grid.every(4))[-1], noise) > 0.1
    assert not list((tmp_path / "k8" / "transformer").glob("*steps*"))


def test_a_student_folder_leaves_its_base_untouched(small_wan: Path, student: Path) -> None:
    base = json.loads((small_wan / "model_index.json").read_text())
    index = json.loads((student / "model_index.json").read_text())
    assert index["scheduler"] == ["diffusers", "UniPCMultistepScheduler"]
    assert {key: value for key, value in index.items() if key != "scheduler"} == {
        key: value for key, value in base.items() if key != "scheduler"
    }
    assert not list(student.rglob("*.bin"))
