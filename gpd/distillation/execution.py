"""A stage from its input folders to the finished student's."""

import time
from pathlib import Path

from gpd.distillation import loading, publication
from gpd.distillation.album import open_album
from gpd.distillation.processes.stopping import Stop
from gpd.distillation.trainer import make_accelerator, train_stage
from gpd.documents import Identity, RunRecord
from gpd.params import Params, student_path
from gpd.progress import progress_bar


def train_and_publish(
    params: Params, name: str, inputs: dict[str, Identity], work: Path, record: RunRecord | None, stop: Stop
) -> None:
    """Inputs -> stage -> training -> folder, on all processes; the main one writes and has the record."""
    accelerator = make_accelerator(params.model.dtype)
    stage = loading.make_stage(params, name, work, accelerator.device)
    started = time.monotonic()
    with progress_bar(f"distill {name}", stage.params.iterations, accelerator.is_main_process) as advance:
        student, ledger = train_stage(stage, accelerator, lambda done, loss: advance(done, f"loss {loss:.4f}"), stop)
    seconds = time.monotonic() - started
    if record is not None:
        record.wrote(student_path(name), publication.publish(params, name, inputs, student, ledger, open_album(stage)))
        record.forwards, record.device = ledger.forwards, str(accelerator.device)
        record.device_seconds = seconds * accelerator.num_processes
        print(publication.summary(name, ledger, seconds), flush=True)
    accelerator.wait_for_everyone()
    accelerator.end_training()
