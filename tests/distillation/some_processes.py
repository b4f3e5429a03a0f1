"""Stages on several real processes of the CPU, forked from one that has torch; each writes what it ended with."""

import dataclasses
import json
import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from gpd.distillation.album import open_album
from gpd.distillation.processes.sharding import ENVIRONMENT, choose_mesh, shard
from gpd.distillation.processes.share import CPU
from gpd.distillation.stage import Stage
from gpd.distillation.trainer import make_accelerator, train_stage
from tests.distillation.test_trainer import StoppedError, make_stage, weights
from tests.toy import BlockNetwork, HeadedNetwork, block_networks

ITERATIONS, STOP = 20, 13
SLOW_IMPORTS = ("torch._dynamo", "torch.distributed.fsdp", "peft")  # seconds each, in every process
Ended = dict[str, Any]  # weights and ledger of a stage


STREAMED: dict[str, Any] = {"states": {"stream": 0.75, "clips": 0.25}}  # trajectories that begin anew while it trains
STAGES: dict[str, tuple[int, int, dict[str, Any]]] = {  # horizon, tail and changes
    "full": (5, 2, {**STREAMED, "loss_weighting": "step"}),
    "lora": (7, 7, {**STREAMED, "lora_rank": 2}),
    "previous": (5, 2, {**STREAMED, "probe": {"strip": {"every": 8, "num_prompts": 3}}}),
    "flow": (8, 8, {"objective": "piecewise_flow"}),
    "heads": (8, 8, {**STREAMED, "objective": "parallel"}),
}


def some_stage(folder: Path, name: str) -> Stage:
    """One of STAGES, with a batch that 4 processes divide and a network with blocks."""
    horizon, tail, changes = STAGES[name]
    stage = make_stage(folder / name, horizon, tail, ITERATIONS, **changes)
    params = stage.params.model_copy(update={"batch": 12, "learning_rate": 1e-3})
    networks = {"student": HeadedNetwork()} if name == "heads" else block_networks(stage.distill.lora_rank)
    stage = dataclasses.replace(stage, params=params, **networks)
    if name == "heads":
        return dataclasses.replace(stage, mesh=choose_mesh(CPU, 0))
    return lay_out(stage) if name == "previous" else stage


def lay_out(stage: Stage) -> Stage:
    """With a previous student that has weights; all of them are cut over the processes if GPD_SHARDING says so."""
    previous, mesh = BlockNetwork().requires_grad_(False), choose_mesh(CPU, 0)
    if mesh:
        shard(previous, mesh)
    return dataclasses.replace(stage, previous=previous, mesh=mesh)


def train(stage: Stage, accelerator: Accelerator, stop: int) -> Ended:
    """What a stage ends with, unless it shall stop: then with StoppedError there, after states were saved."""

    def die(iteration: int, loss: float) -> None:
        if iteration == stop:
            raise StoppedError

    patience = 0 if stop and accelerator.is_main_process else 10**9  # as clocks of two machines may differ
    distill = stage.distill.model_copy(update={"save_every_seconds": patience})
    published, ledger = train_stage(dataclasses.replace(stage, distill=distill), accelerator, die)
    learnt = weights(published)  # of cut networks the main process alone has them
    album = open_album(stage) if accelerator.is_main_process else None
    ends = {} if album is None else {name: found.tolist() for name, found in album.ends.items()}
    return {"weights": [] if learnt.is_meta else learnt.tolist(), "ledger": ledger.model_dump(), "strip": ends}


def work(rank: int, number: int, port: int, folder: Path, names: list[str], stop: int, sharding: str) -> None:
    """One of `number` processes; four put no more than two of their three samples through a network at once."""
    os.environ[ENVIRONMENT] = sharding
    os.environ["GPD_MICRO_BATCH"] = "2" if number == 4 else ""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": number, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    if number > 1:
        os.environ.update({name: str(value) for name, value in place.items()})
    accelerator = make_accelerator("float32")
    try:
        ended = {name: train(some_stage(folder, name), accelerator, stop) for name in names}
    except StoppedError:
        os._exit(0)
    (folder / f"ended-{rank}.json").write_text(json.dumps(ended))
    accelerator.end_training()


def run(number: int, folder: Path, *names: str, stop: int = 0, sharding: str = "none") -> list[dict[str, Ended]]:
    """What each of so many processes ended with, by stage; nothing if they stopped."""
    folder.mkdir(exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *SLOW_IMPORTS])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = (number, port, folder, names, stop, sharding)
    processes = [context.Process(target=work, args=(rank, *shared)) for rank in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * number
    return [json.loads(path.read_text()) for path in sorted(folder.glob("ended-*.json"))]
