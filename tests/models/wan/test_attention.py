import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel
from diffusers.models.attention_dispatch import _AttentionBackendRegistry as Registry

from gpd.core.velocity import stack_text
from gpd.models import wan
from gpd.models.wan.network import compile_blocks
from tests.models.wan.states import CAPTION, SHAPE, distance
from tests.patience import run_patiently


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


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each backend of diffusers was called; what was chosen for the process is put back."""
    counted: Counter[str] = Counter()

    def counting(name: str, kernel: Any) -> Any:
        def call(**arguments: Any) -> Any:
            counted[name] += 1
            return kernel(**arguments)

        return call

    for backend, kernel in Registry._backends.items():
        monkeypatch.setitem(Registry._backends, backend, counting(backend.value, kernel))
    before = Registry.get_active_backend()[0]
    yield counted
    Registry.set_active_backend(before)


def run(network: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    latents, text = (torch.randn(1, *shape, generator=generator) for shape in (SHAPE[1:], (4, 64)))
    with torch.no_grad():
        velocity: torch.Tensor = network(latents, torch.tensor([500]), text)
    return velocity


@pytest.mark.parametrize("merge_padding", [True, False])
def test_the_backend_that_was_set_computes(small_wan: Path, calls: Counter[str], merge_padding: bool) -> None:
    network = wan.load_network(small_wan, merge_padding=merge_padding)
    before = run(network)
    assert calls == {"native": 4}  # two blocks, two attentions each
    network.transformer.set_attention_backend("_native_math")
    assert distance(run(network), before) < 1e-5
    assert calls == {"native": 4, "_native_math": 4}


def test_a_backend_that_takes_no_bias_leaves_the_texts_to_one_that_does(small_wan: Path, calls: Counter[str]) -> None:
    merged, plain = (wan.load_network(small_wan, merge_padding=choice) for choice in (True, False))
    before = run(merged)
    calls.clear()
    for network in (merged, plain):
        network.transformer.set_attention_backend("_native_flash")
        assert distance(run(network), before) < 1e-5
    assert calls == {"_native_flash": 2 + 4, "native": 2}


def test_a_backend_that_cannot_be_is_refused(small_wan: Path, calls: Counter[str]) -> None:
    with pytest.raises(RuntimeError, match="not usable"):
        wan.load_network(small_wan, merge_padding=True).transformer.set_attention_backend("sage")


def test_without_merged_padding_it_is_diffusers_own(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=False)
    plain = WanTransformer3DModel.from_pretrained(small_wan, subfolder="transformer").eval()

    def padded(latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        text = torch.nn.functional.pad(text, (0, 0, 0, wan.TEXT_LENGTH - text.shape[1]))
        return plain(latents, timesteps, text).sample  # type: ignore[no-any-return]

    assert distance(run(network), run(padded)) < 1e-6


@pytest.mark.parametrize("merge_padding", [True, False])
def test_blocks_can_be_compiled_whole(small_wan: Path, merge_padding: bool) -> None:
    network = wan.load_network(small_wan, merge_padding=merge_padding)
    before, names = run(network), list(network.state_dict())
    compile_blocks(network.transformer, backend="eager", fullgraph=True)  # raises where it cannot be traced
    assert torch.equal(run(network), before)
    assert list(network.state_dict()) == names


def test_tokens_are_split_over_devices(small_wan: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*torchrun, str(Path(__file__).with_name("two_devices.py")), str(small_wan)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    found = run_patiently(command, env=environment)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == ["True", "True"]
