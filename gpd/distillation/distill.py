"""DVC stage `distill@kN`: one student from its previous student and the teacher."""

import contextlib
import shutil
import sys
from pathlib import Path

from gpd import documents
from gpd.artifacts import UserError
from gpd.data.occupied import occupying, work_lock
from gpd.distillation.objectives import check_objective
from gpd.distillation.processes import launch
from gpd.distillation.processes.share import check_batch
from gpd.distillation.processes.stopping import Stop, StoppedError
from gpd.distillation.saving.train_state import MARKER
from gpd.params import Params
from gpd.stages import settings_of, work_folder


def check(params: Params, name: str, number: int) -> None:
    """What can be refused before anything is read, for so many processes.

    Raises:
        UserError: there is no such stage, its settings exclude each other, or the processes do not divide its batch.
    """
    if name not in params.distill.stages:
        raise UserError(f"params.yaml: distill.stages has no {name!r}; it has {', '.join(params.distill.stages)}")
    check_objective(params.distill)
    check_batch(name, params.distill.stages[name].batch, number)


def run(params: Params, name: str) -> None:
    """Trains the student of stage `name` into data/students/NAME, alone or as one of several processes (`launch`).

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
    from gpd.distillation.execution import train_and_publish

    check(params, name, launch.num_processes() if launch.is_joined() else 1)
    stage = f"distill@{name}"
    settings = settings_of(stage, params.model_dump())
    with documents.recording_run(stage, settings) if launch.is_main() else contextlib.nullcontext() as record:
        previous = params.distill.stages[name].previous
        folders = {"teacher": params.model.path, "previous": previous, "latents": "data/latents"}
        inputs = {role: documents.identify(Path(folder)) for role, folder in folders.items()}
        work = work_folder(stage, settings, inputs)
        with occupying(stage, work_lock(work)) if launch.is_main() else contextlib.nullcontext():
            train_and_publish(params, name, inputs, work, record, stop)
            if launch.is_main():
                forget(work)


def forget(work: Path) -> None:
    """Removes a train state that is of no more use, its marker first: what is left is never taken for a damaged one."""
    with contextlib.suppress(OSError):  # it stays whole, and is gone on with
        (work / MARKER).unlink(missing_ok=True)
        shutil.rmtree(work, ignore_errors=True)
