"""Run by test_stopping: a slow stage on as many processes as GPD_PROCESSES says, which keeps a record.

Argument: its folder.
"""

import os
import sys
import time
from pathlib import Path

from gpd import documents
from gpd.distillation.processes import launch, stopping
from gpd.distillation.processes.stopping import Stop
from gpd.distillation.trainer import make_accelerator, train_stage
from tests.distillation.some_processes import some_stage

PAUSE = 0.3  # seconds an iteration: a signal comes while it trains


def work(folder: Path) -> None:
    """The stage, in one of the processes."""
    rank = os.environ.get("RANK", "0")
    (folder / f"pid-{rank}").write_text(str(os.getpid()))

    def on_report(iteration: int, loss: float) -> None:
        (folder / f"done-{rank}").write_text(str(iteration))
        time.sleep(PAUSE)

    os.chdir(folder)
    with Stop().listening() as stop, documents.recording_run("distill@toy", {}):
        train_stage(some_stage(folder, "full"), make_accelerator("float32"), on_report, stop)


def meet(folder: Path) -> None:
    """One of two processes, of which the other never comes."""
    os.environ.update(RANK="1", LOCAL_RANK="1", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="1")
    stopping.DEAF_SECONDS = 0.5
    with Stop().listening():
        (folder / "pid-1").write_text(str(os.getpid()))
        make_accelerator("float32")


if __name__ == "__main__":
    launch.on_all_processes(["-m", "tests.distillation.stoppable", sys.argv[1]], lambda: work(Path(sys.argv[1])))
