"""Run by test_processes under torchrun: stages on as many CPU processes as there are; each writes what it ended with."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from gpd.distillation.stage import Stage
from gpd.distillation.trainer import make_accelerator, train_stage
from tests.distillation.test_trainer import make_stage, weights
from tests.toy import BlockNetwork

ITERATIONS, STOP = 20, 13


def stages(folder: Path) -> dict[str, Stage]:
    """All weights and factors; both with trajectories that begin anew, in steps that do not divide the grid."""
    streamed: dict[str, Any] = {"states": {"stream": 0.75, "clips": 0.25}}
    made = {
        "full": make_stage(folder / "full", 5, 2, ITERATIONS, **streamed, loss_weighting="step"),
        "lora": make_stage(folder / "lora", 7, 7, ITERATIONS, **streamed, lora_rank=2),
        "flow": make_stage(folder / "flow", 8, 8, ITERATIONS, objective="piecewise_flow"),
    }
    return {name: small_steps(stage) for name, stage in made.items()}


def small_steps(stage: Stage) -> Stage:
    """A batch that 4 processes divide, and a network with blocks."""
    params = stage.params.model_copy(update={"batch": 12, "learning_rate": 1e-3})
    return dataclasses.replace(stage, params=params, student=BlockNetwork())


def train(stage: Stage, accelerator: Accelerator, stop: int = 0) -> dict[str, Any]:
    """What a stage ends with; or, if it shall stop, the end of this process with a state saved one iteration before."""

    def die(iteration: int, loss: float) -> None:
        if iteration == stop:
            os._exit(0)

    patience = 0 if stop and accelerator.is_main_process else 10**9  # as clocks of two machines may differ
    distill = stage.distill.model_copy(update={"save_every_seconds": patience})
    published, ledger = train_stage(dataclasses.replace(stage, distill=distill), accelerator, die)
    return {"weights": weights(published).tolist(), "ledger": ledger.model_dump()}


def main() -> None:
    """Arguments: the folder to work in, and "stop" if the first stage shall end early."""
    folder, stop = Path(sys.argv[1]), STOP * ("stop" in sys.argv)
    accelerator = make_accelerator("float32")
    ended = {name: train(stage, accelerator, stop) for name, stage in stages(folder).items()}
    (folder / f"ended-{accelerator.process_index}.json").write_text(json.dumps(ended))
    accelerator.end_training()


if __name__ == "__main__":
    main()
