import json
import multiprocessing
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from gpd.distillation.turns import Turns

NUMBER = 3
EXAMPLE = (torch.zeros(1, 1, 1, 1, 1), torch.zeros(1), torch.zeros(1, 1, 1))


class Doubling(nn.Module):
    """Computes only together with all other processes, as a cut network does."""

    num_calls = 0

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        distributed.all_reduce(torch.zeros(()))
        self.num_calls += 1
        return 2 * latents


class Partner:
    """Stands for another process: what it wants at each agreement, 0 when it needs nothing more."""

    def __init__(self, *wishes: int) -> None:
        self.wishes = list(wishes)

    def gather(self, value: Tensor) -> list[Tensor]:
        return [value, torch.tensor(self.wishes.pop(0))]


class Counted(nn.Module):
    """A network that counts its calls, and those that were of the example."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.sizes: list[int] = []

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        self.sizes.append(len(latents))
        return self.weight * latents


def with_partner(*wishes: int) -> tuple[Turns, list[Counted]]:
    turns, networks = Turns(EXAMPLE, torch.device("cpu")), [Counted(), Counted()]
    turns.peers = Partner(*wishes)  # type: ignore[assignment]
    for network in networks:
        turns.add(network)
    return turns, networks


def test_what_the_others_need_first_is_computed_on_the_example() -> None:
    turns, (first, second) = with_partner(2, 2, 1)
    with torch.no_grad():
        first(torch.zeros(4, 1, 1, 1, 1), *EXAMPLE[1:])
    assert (first.sizes, second.sizes) == ([4], [1, 1])
    assert turns.peers.wishes == []  # type: ignore[attr-defined]


def test_what_all_train_waits_for_the_walks_of_the_others() -> None:
    turns, (first, second) = with_partner(1, 0)
    first(torch.zeros(4, 1, 1, 1, 1), *EXAMPLE[1:])
    assert (first.sizes, second.sizes) == ([1, 4], [])
    assert turns.peers.wishes == []  # type: ignore[attr-defined]


def test_a_frozen_network_is_agreed_on_even_where_gradients_flow() -> None:
    turns, (first, second) = with_partner(2, 1)
    first.requires_grad_(False)
    first(torch.zeros(4, 1, 1, 1, 1), *EXAMPLE[1:])
    assert (first.sizes, second.sizes) == ([4], [1])
    assert turns.peers.wishes == []  # type: ignore[attr-defined]


def test_whoever_needs_no_more_helps_until_nobody_does() -> None:
    turns, (first, second) = with_partner(2, 1, 0)
    turns.meet()
    assert (first.sizes, second.sizes) == ([1], [1])
    assert not turns.is_helping


def work(rank: int, folder: Path) -> None:
    """Process 0 needs the first network twice; process 1 the second one, then the first; process 2 neither."""
    store = distributed.FileStore(str(folder / "store"), NUMBER)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=NUMBER)
    turns, networks = Turns(EXAMPLE, torch.device("cpu")), [Doubling(), Doubling()]
    for network in networks:
        turns.add(network)
    needed = [[0, 0], [1, 0], []][rank]
    latents = torch.full((4, 1, 1, 1, 1), float(rank))
    answers = [networks[number](latents, *EXAMPLE[1:]).flatten().tolist() for number in needed]
    turns.meet()
    report = {"answers": answers, "num_calls": [network.num_calls for network in networks]}
    (folder / f"{rank}.json").write_text(json.dumps(report))


def test_processes_that_need_other_calls_make_the_same_ones(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    processes = [context.Process(target=work, args=(rank, tmp_path)) for rank in range(NUMBER)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    reports = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(NUMBER)]
    assert [report["answers"] for report in reports] == [[[0.0] * 4] * 2, [[2.0] * 4] * 2, []]
    assert all(report["num_calls"] == reports[0]["num_calls"] for report in reports)
    assert sum(reports[0]["num_calls"]) in (3, 4)  # calls of the same network at the same time are one
