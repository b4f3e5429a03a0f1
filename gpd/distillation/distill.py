"""DVC stage `distill@kN`: one student from its previous student and the teacher."""

import shutil
import time
from pathlib import Path

from gpd import documents
from gpd.artifacts import UserError
from gpd.distillation.objectives import check_objective
from gpd.documents import Identity, RunRecord
from gpd.params import Params, student_path
from gpd.stages import settings_of, work_folder


def run(params: Params, name: str) -> None:
    """Trains the student of stage `name` into data/students/NAME.

    Raises:
        UserError: there is no such stage, or what it needs is missing or of other params.
    """
    if name not in params.distill.stages:
        raise UserError(f"params.yaml: distill.stages has no {name!r}; it has {', '.join(params.distill.stages)}")
    check_objective(params.distill)
    stage = f"distill@{name}"
    settings = settings_of(stage, params.model_dump())
    with documents.recording_run(stage, settings) as record:
        previous = params.distill.stages[name].previous
        folders = {"teacher": params.model.path, "previous": previous, "latents": "data/latents"}
        inputs = {role: documents.identify(Path(folder)) for role, folder in folders.items()}
        work = work_folder(stage, settings, inputs)
        train_and_publish(params, name, inputs, work, record)
        shutil.rmtree(work, ignore_errors=True)


def train_and_publish(params: Params, name: str, inputs: dict[str, Identity], work: Path, record: RunRecord) -> None:
    """Inputs -> stage -> training -> folder, on all processes that torchrun started; the main one writes."""
    from gpd.distillation import loading, publication
    from gpd.distillation.trainer import make_accelerator, train_stage
    from gpd.progress import progress_bar

    accelerator = make_accelerator(params.model.dtype)
    stage = loading.make_stage(params, name, work, accelerator.device)
    started = time.monotonic()
    with progress_bar(f"distill {name}", stage.params.iterations, accelerator.is_main_process) as advance:
        student, ledger = train_stage(stage, accelerator, lambda done, loss: advance(done, f"loss {loss:.4f}"))
    seconds = time.monotonic() - started
    if accelerator.is_main_process:
        record.wrote(student_path(name), publication.publish(params, name, inputs, student, ledger))
        record.forwards, record.device = ledger.forwards, str(accelerator.device)
        record.device_seconds = seconds * accelerator.num_processes
        print(publication.summary(name, ledger, seconds), flush=True)
    accelerator.wait_for_everyone()
    accelerator.end_training()
