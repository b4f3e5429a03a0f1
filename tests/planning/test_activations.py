"""What is said of activations beside what a run with numbers in it holds, at the width of a real Wan2.1 block."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gpd.models.network import VideoNetwork
from gpd.models.wan.architectures import ARCHITECTURES
from gpd.planning.activations import Run, evaluation, training

SMALL = Run(ARCHITECTURES["wan2.1-1.3b"], (16, 1, 32, 32), batch=1, dtype="float32", autocast=False)  # 256 tokens


def with_numbers(network: VideoNetwork) -> VideoNetwork:
    """A network of the meta device, of zeros on the CPU."""
    network = network.to_empty(device="cpu")
    for weight in network.parameters():
        nn.init.zeros_(weight)
    rope = network.transformer.rope
    for name, buffer in list(rope._buffers.items()):
        rope._buffers[name] = torch.zeros_like(buffer)
    return network


def saved_bytes(run: Run, num_blocks: int) -> int:
    """What autograd saves in a forward: each storage once, the weights not."""
    network = with_numbers(run.student(num_blocks).network)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = network(torch.randn(1, *run.shape), torch.full((1,), 500.0), torch.randn(1, 512, 4096))
    assert kept.requires_grad
    return sum(storages.values())


def test_what_a_real_block_keeps_is_what_was_said():
    """Within 10 %, by a real block of the 1.3B in float32."""
    of_block = saved_bytes(SMALL, 2) - saved_bytes(SMALL, 1)
    assert training(SMALL).kept == pytest.approx(of_block, rel=0.1)


def test_a_checkpointed_block_keeps_its_input_alone():
    run = replace(SMALL, autocast=True, checkpointing=True)
    assert training(run).kept == 256 * 1536 * 2  # tokens, width, bytes of bfloat16


def test_activations_grow_with_the_batch():
    one, four = training(SMALL), training(replace(SMALL, batch=4))
    assert 3.5 < four.peak(30) / one.peak(30) <= 4


def test_a_forward_alone_keeps_nothing():
    assert evaluation(SMALL) < training(SMALL).peak(2) / 2
