from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from gpd.distillation.processes.turns import Turns
from tests.distillation.forked import together

EXAMPLE = (torch.zeros(1, 1, 1, 1, 1), torch.zeros(1), torch.zeros(1, 1, 1))
Sizes = list[list[int]]  # of the batches that each network was called with, by the process itself or to help


class Joint(nn.Module):
    """Computes only together with all other processes, as a cut network does, and only if they call the same one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.sizes = number, list[int]()
        self.weight = nn.Parameter(torch.full((1,), 2.0))

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        called = torch.tensor(self.number)
        distributed.all_reduce(called)
        assert called == self.number * distributed.get_world_size()
        self.sizes.append(len(latents))
        return self.weight * latents


def process(
    size: int, needed: Sequence[int], trained: Sequence[int] = (), frozen: Sequence[int] = ()
) -> Callable[[], Sizes]:
    """What a process does that needs some of three networks for batches of `size`, and then trains some."""

    def work() -> Sizes:
        turns, networks = Turns(EXAMPLE, torch.device("cpu")), [Joint(number) for number in range(3)]
        for network in networks:
            turns.add(network)
        for number in frozen:
            networks[number].requires_grad_(False)
        batch = (torch.ones(size, 1, 1, 1, 1), *EXAMPLE[1:])
        for number in needed:
            with torch.set_grad_enabled(number in frozen):
                assert (networks[number](*batch) == 2).all()
        for number in trained:
            networks[number](*batch)
        turns.meet()
        assert not turns.is_helping
        return [network.sizes for network in networks]

    return work


def test_what_the_others_need_first_is_computed_on_the_example(tmp_path: Path) -> None:
    one, other = together(tmp_path, process(4, [0]), process(3, [1, 1, 0]))
    assert one == [[4], [1, 1], []]
    assert other == [[3], [3, 3], []]


def test_what_all_train_waits_for_the_walks_of_the_others(tmp_path: Path) -> None:
    one, other = together(tmp_path, process(4, [], [0, 0]), process(3, [0, 2], [0, 0]))
    assert one == [[1, 4, 4], [], [1]]
    assert other == [[3, 3, 3], [], [3]]


def test_a_frozen_network_is_agreed_on_even_where_gradients_flow(tmp_path: Path) -> None:
    one, other = together(tmp_path, process(4, [0], frozen=[0]), process(3, [1]))
    assert one == [[4], [1], []]
    assert other == [[1], [3], []]


def test_whoever_needs_no_more_helps_until_nobody_does(tmp_path: Path) -> None:
    one, other = together(tmp_path, process(4, []), process(3, [1, 0, 2]))
    assert one == [[1], [1], [1]]
    assert other == [[3], [3], [3]]


def test_processes_that_need_other_calls_make_the_same_ones(tmp_path: Path) -> None:
    """Three of them; calls of the same network at the same time are one."""
    sizes = together(tmp_path, process(4, [0, 0]), process(3, [1, 0]), process(2, []))
    assert [[len(calls) for calls in each] for each in sizes] == [[2, 1, 0]] * 3
    assert sizes[2] == [[1, 1], [1], []]
