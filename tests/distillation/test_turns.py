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
