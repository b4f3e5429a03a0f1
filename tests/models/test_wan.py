import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.core.sampler import Solver, sample
from gpd.core.schedule import make_grid
from gpd.core.velocity import stack_text
from gpd.models import wan
from gpd.tiny.clips import draw, split_scenes
from tests.plain import plain_latents

CAPTION = "a red circle moves left slowly over a plain background"
SHAPE = (1, 16, 5, 8, 8)


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.fixture(scope="module")
def student(small_wan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("students") / "k8"
    network = wan.load_network(small_wan, merge_padding=True)
    wan.save_student(folder, network.transformer, small_wan, grid_steps=48, shift=3.0)
    return folder


@pytest.mark.parametrize(("steps", "guidance_scale"), [(6, 1.0), (6, 4.0), (48, 4.0)])
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
        make_grid(steps, 3.0),
        negative=stack_text(encoder.encode([""])),
        guidance_scale=guidance_scale,
    )[-1]
    assert distance(ours, theirs) < 1e-4


def test_the_scheduler_that_wan_ships_with_would_walk_another_grid() -> None:
    """Why a student is exported with a scheduler of its own (the parity above fails with this one)."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    obvious = FlowMatchEulerDiscreteScheduler(shift=5.0)
    obvious.set_timesteps(6)
    assert not torch.allclose(obvious.sigmas.double(), make_grid(6, 5.0).sigmas, atol=0.01)


def test_merged_padding_changes_nothing_but_the_cost(small_wan: Path) -> None:
    merged, plain = (wan.load_network(small_wan, merge_padding=choice) for choice in (True, False))
    text = stack_text(wan.TextEncoder(small_wan).encode([CAPTION, "a"]))  # of different length
    latents, timesteps = torch.randn(2, *SHAPE[1:]), torch.tensor([999, 250])
    with torch.no_grad():
        assert distance(merged(latents, timesteps, text), plain(latents, timesteps, text)) < 1e-5


def test_merged_padding_has_the_same_gradients(small_wan: Path) -> None:
    text = stack_text(wan.TextEncoder(small_wan).encode([CAPTION]))
    latents, timesteps = torch.randn(SHAPE), torch.tensor([500])
    gradients = []
    for choice in (True, False):
        network = wan.load_network(small_wan, merge_padding=choice)
        network(latents, timesteps, text).square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert distance(*gradients) < 1e-4


def test_a_text_of_full_length_has_no_padding_to_merge() -> None:
    text, bias = wan.padding_bias(torch.ones(1, wan.TEXT_LENGTH, 4))
    assert text.shape == (1, 512, 4)
    assert not bias.any()
    _, bias = wan.padding_bias(torch.ones(1, 12, 4))
    assert bias[0, 0, 0].exp().sum() == pytest.approx(512)


def test_texts_embed_the_same_alone_and_in_company(small_wan: Path) -> None:
    encoder = wan.TextEncoder(small_wan)
    alone = encoder.encode([CAPTION])[0]
    in_company = encoder.encode(["a " * 100, CAPTION, "雪の中の猫 🐈"])[1]
    assert alone.shape == (11, 64)
    assert distance(in_company, alone) < 1e-5


def test_long_texts_are_cut_where_wan_cuts_them(small_wan: Path) -> None:
    assert wan.TextEncoder(small_wan).encode(["snow " * 2000])[0].shape[0] == wan.TEXT_LENGTH


def test_codec_shapes_and_normalisation(small_wan: Path) -> None:
    codec = wan.ClipCodec(small_wan)
    frames = np.stack([draw(split_scenes()[0][0], seed) for seed in (0, 1)])
    latents = codec.encode(frames)
    assert latents.shape == (2, *codec.latent_shape(17, 64, 64)) == (2, 16, 5, 8, 8)
    raw = codec.vae.encode(torch.from_numpy(frames).movedim(-1, 1).float() / 127.5 - 1).latent_dist.mode()
    assert torch.allclose(latents * codec.std + codec.mean, raw, atol=1e-5)
    decoded = codec.decode(latents)
    assert decoded.shape == frames.shape
    assert decoded.dtype == np.uint8


def told(network: wan.VelocityNetwork, *steps: int) -> torch.Tensor:
    """The network on one fixed state, once for each length of step."""
    generator = torch.Generator().manual_seed(0)
    latents, text = (torch.randn(1, *shape, generator=generator) for shape in (SHAPE[1:], (4, 64)))
    number = len(steps)
    timesteps = torch.full((number,), 500)
    return network(latents.expand(number, *SHAPE[1:]), timesteps, text.expand(number, -1, -1), torch.tensor(steps))


def test_before_training_every_step_is_the_networks_own(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    network.embed_steps([1, 2, 4])
    with torch.no_grad():
        alike = told(network, 1, 2, 4, 8)
        network.steps.vectors[1] = 1.0  # type: ignore[union-attr]
        changed = told(network, 1, 2, 4, 8)
        plain = network.transformer
        assert not plain.condition_embedder.time_embedder._forward_hooks  # nothing stays behind
    assert torch.equal(alike[:1].expand_as(alike), alike)
    assert [distance(a, b) > 1e-3 for a, b in zip(changed, alike, strict=True)] == [False, True, False, False]


def test_a_network_that_is_told_nothing_is_the_plain_one(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    latents, timesteps, text = torch.randn(SHAPE), torch.tensor([500]), torch.randn(1, 4, 64)
    with torch.no_grad():
        plain = network(latents, timesteps, text)
        network.embed_steps([1, 2, 4])
        assert all(torch.equal(network.at(horizon)(latents, timesteps, text), plain) for horizon in (1, 2, 4))
        torch.nn.init.normal_(network.steps.vectors)  # type: ignore[union-attr]
        assert torch.equal(network(latents, timesteps, text), plain)
        assert torch.equal(network(latents, timesteps, text, torch.tensor([8])), plain)


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_gradients_reach_the_vectors_of_the_steps_that_were_told(small_wan: Path, gradient_checkpointing: bool) -> None:
    network = wan.load_network(small_wan, merge_padding=True, gradient_checkpointing=gradient_checkpointing)
    steps = network.embed_steps([1, 2, 4])
    told(network, 2, 8).square().mean().backward()
    assert steps.vectors.grad is not None
    assert steps.vectors.grad.any(1).tolist() == [False, True, False]


def test_a_step_that_was_not_learnt_is_refused(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    with pytest.raises(ValueError, match=r"horizon=2 is not among .*: \[\]"):
        network.at(2)
    with pytest.raises(ValueError, match="told a step"):
        told(network, 2)
    network.embed_steps([1, 2])
    with pytest.raises(ValueError, match=r"horizon=8 is not among .*: \[1, 2\]"):
        network.at(8)


def test_shorter_steps_come_back_beside_a_pipeline_that_does_without(small_wan: Path, tmp_path: Path) -> None:
    from diffusers import WanPipeline

    network = wan.load_network(small_wan, merge_padding=True)
    torch.nn.init.normal_(network.embed_steps([2, 4]).vectors)
    wan.save_student(tmp_path / "k8", network.transformer, small_wan, grid_steps=48, shift=3.0)
    wan.save_steps(tmp_path / "k8", network.steps)  # type: ignore[arg-type]
    again = wan.load_network(tmp_path / "k8", merge_padding=True)
    plain = wan.VelocityNetwork(WanPipeline.from_pretrained(tmp_path / "k8").transformer)
    with torch.no_grad():
        assert torch.equal(told(again, 2, 4, 8), told(network, 2, 4, 8))
    text, noise = torch.randn(1, 4, 64), seeded_noise(SHAPE, seed=0, index=0)
    grid = make_grid(48, 3.0)
    assert torch.equal(sample(again, noise, text, grid.every(8))[-1], sample(plain, noise, text, grid.every(8))[-1])
    assert distance(sample(again.at(4), noise, text, grid.every(4))[-1], noise) > 0.1
    assert not list((tmp_path / "k8" / "transformer").glob("*steps*"))


@pytest.mark.parametrize("solver", [wan.unipc_solver, wan.dpm_solver])
def test_a_solver_of_order_two_differs_from_euler_and_keeps_its_own_history(
    small_wan: Path, solver: Callable[[int, float], Solver]
) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    text = stack_text(wan.TextEncoder(small_wan).encode([CAPTION]))
    noise, grid = seeded_noise(SHAPE, seed=0, index=0), make_grid(6, 3.0)
    first = sample(network, noise, text, grid, solver=solver(6, 3.0))[-1]
    second = sample(network, noise, text, grid, solver=solver(6, 3.0))[-1]
    assert torch.equal(first, second)
    assert distance(first, sample(network, noise, text, grid)[-1]) > 1e-4


@pytest.mark.parametrize("num_steps", [6, 12])
def test_dpm_of_order_one_is_euler_on_our_grid(num_steps: int) -> None:
    grid, noise, target = make_grid(num_steps, 3.0), torch.randn(2, 4, 1, 2, 2), torch.randn(2, 4, 1, 2, 2)
    text = torch.ones(2, 1, 3)

    def network(latents: torch.Tensor, timesteps: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * latents) + target * timesteps[:, None, None, None, None] / 1000

    euler_path = sample(network, noise, text, grid)
    dpm_path = sample(network, noise, text, grid, solver=wan.dpm_solver(num_steps, 3.0, order=1))
    for ours, theirs in zip(euler_path, dpm_path, strict=True):
        assert torch.allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("solver", [wan.unipc_solver, wan.dpm_solver])
def test_order_two_is_nearer_than_euler_to_the_exact_flow(solver: Callable[[int, float], Solver]) -> None:
    """Clean latents from a normal of deviation s: the state at sigma has variance (1 - sigma)^2 s^2 + sigma^2.

    What is left is mostly the last step, to sigma 0, which is of first order in all of them.
    """
    deviation, noise, text = 0.5, torch.randn(1, 4, 2, 4, 4), torch.ones(1, 1, 3)

    def network(latents: torch.Tensor, timesteps: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        sigma = timesteps[:, None, None, None, None] / 1000
        return latents * (sigma - (1 - sigma) * deviation**2) / ((1 - sigma) ** 2 * deviation**2 + sigma**2)

    grid, exact = make_grid(12, 3.0), deviation * noise
    of_euler = distance(sample(network, noise, text, grid)[-1], exact)
    assert distance(sample(network, noise, text, grid, solver=solver(12, 3.0))[-1], exact) < 0.7 * of_euler


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no weights there"):
        wan.load_network(tmp_path / "nothing", merge_padding=True)


def test_a_student_folder_leaves_its_base_untouched(small_wan: Path, student: Path) -> None:
    base = json.loads((small_wan / "model_index.json").read_text())
    index = json.loads((student / "model_index.json").read_text())
    assert index["scheduler"] == ["diffusers", "UniPCMultistepScheduler"]
    assert {key: value for key, value in index.items() if key != "scheduler"} == {
        key: value for key, value in base.items() if key != "scheduler"
    }
    assert not list(student.rglob("*.bin"))
