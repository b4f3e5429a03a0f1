"""DVC stage `distill@kN`: one student from its previous student and the teacher."""

import contextlib
import shutil
import sys
import time
from pathlib import Path

from gpd import documents
from gpd.artifacts import UserError
from gpd.distillation import launch
from gpd.distillation.objectives import check_objective
from gpd.distillation.share import check_batch
from gpd.distillation.stopping import Stop, StoppedError
from gpd.documents import Identity, RunRecord
from gpd.params import Params, student_path
from gpd.stages import settings_of, work_folder


def check(params: Params, name: str, number: int) -> None:
    """What can be refused before anything is read.

    Args:
        number: of processes.

    Raises:
        UserError: there is no such stage, its settings exclude each other, or the processes do not divide its batch.
    """
    if name not in params.distill.stages:
        raise UserError(f"params.yaml: distill.stages has no {name!r}; it has {', '.join(params.distill.stages)}")
    check_objective(params.distill)
    check_batch(name, params.distill.stages[name].batch, number)


def run(params: Params, name: str) -> None:
    """Trains the student of stage `name` into data/students/NAME, alone or as one of the processes that torchrun or
    `gpd.distillation.launch` started.

    Raises:
        StoppedError: by a signal.
        UserError: what `check` refuses, or what the stage needs is missing or of other params.
    """
    with Stop().listening() as stop:
        try:
            run_stage(params, name, stop)
        except StoppedError as stopped:
            if launch.is_main():
                print(f"gpd: distill {name}: {stopped}", file=sys.stderr, flush=True)
            raise


def run_stage(params: Params, name: str, stop: Stop) -> None:
    """`run` while `stop` listens."""
    check(params, name, launch.num_processes() if launch.is_joined() else 1)
    stage = f"distill@{name}"
    settings = settings_of(stage, params.model_dump())
    recording = documents.recording_run(stage, settings)
    with recording if launch.is_main() else contextlib.nullcontext() as record:
        previous = params.distill.stages[name].previous
        folders = {"teacher": params.model.path, "previous": previous, "latents": "data/latents"}
        inputs = {role: documents.identify(Path(folder)) for role, folder in folders.items()}
        work = work_folder(stage, settings, inputs)
        train_and_publish(params, name, inputs, work, record, stop)
        if launch.is_main():
            shutil.rmtree(work, ignore_errors=True)


def train_and_publish(
    params: Params, name: str, inputs: dict[str, Identity], work: Path, record: RunRecord | None, stop: Stop
) -> None:
    """Inputs -> stage -> training -> folder, on all processes; the main one writes and has the record."""
    from gpd.distillation import loading, publication
    from gpd.distillation.trainer import make_accelerator, train_stage
    from gpd.progress import progress_bar

    accelerator = make_accelerator(params.model.dtype)
    stage = loading.make_stage(params, name, work, accelerator.device)
    started = time.monotonic()
    with progress_bar(f"distill {name}", stage.params.iterations, accelerator.is_main_process) as advance:
        student, ledger = train_stage(stage, accelerator, lambda done, loss: advance(done, f"loss {loss:.4f}"), stop)
    seconds = time.monotonic() - started
    if record is not None:
        record.wrote(student_path(name), publication.publish(params, name, inputs, student, ledger))
        record.forwards, record.device = ledger.forwards, str(accelerator.device)
        record.device_seconds = seconds * accelerator.num_processes
        print(publication.summary(name, ledger, seconds), flush=True)
    accelerator.wait_for_everyone()
    accelerator.end_training()
