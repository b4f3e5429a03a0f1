"""A finished student as a folder: a diffusers pipeline or adapter, its training curve and its manifest."""

import csv
from pathlib import Path
from typing import Any

from gpd import artifacts, documents
from gpd.distillation.ledger import Ledger
from gpd.documents import Identity, Manifest, StudentFacts
from gpd.models.adapted import save_adapted
from gpd.models.families import open_model
from gpd.models.roles import Role
from gpd.params import Params, student_path


def settings_of(params: Params, name: str) -> dict[str, Any]:
    """What of params.yaml determines the student of a stage."""
    distill = params.distill.model_dump(exclude={"stages", "save_every_seconds"})
    return {
        "model": params.model.model_dump(exclude={"path", "hub"}),
        "distill": distill,
        "stage": params.distill.stages[name].model_dump(exclude={"previous"}),
    }


def publish(
    params: Params, name: str, inputs: dict[str, Identity], student: Any, ledger: Ledger
) -> Manifest[StudentFacts]:
    """Writes data/students/NAME, whole or not at all."""
    with artifacts.replacing(Path(student_path(name))) as folder:
        _save_weights(params, folder, student)
        with (folder / "training.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(ledger.curve[0]))
            writer.writeheader()
            writer.writerows(ledger.curve)
        facts = _facts(params, name, ledger, base_path=params.model.path if isinstance(student, Role) else None)
        return documents.write_manifest(folder, facts, inputs=inputs, params=settings_of(params, name))


def _save_weights(params: Params, folder: Path, student: Any) -> None:
    """A whole pipeline; an adapter without its base model if that is what was trained."""
    model = params.model
    base = open_model(model.path)
    if isinstance(student, Role):
        save_adapted(base, folder, student.adapter, grid_steps=model.grid_steps, shift=model.shift)
    else:
        base.save_student(folder, student, grid_steps=model.grid_steps, shift=model.shift)


def _facts(params: Params, name: str, ledger: Ledger, base_path: str | None) -> StudentFacts:
    assert ledger.before, "the stage is finished"
    assert ledger.after, "the stage is finished"
    grid_steps, horizon = params.model.grid_steps, params.distill.stages[name].horizon
    return StudentFacts(
        stage=name,
        horizon=horizon,
        horizons=params.distill.horizons,
        grid_steps=grid_steps,
        sampling_steps=grid_steps // horizon if grid_steps % horizon == 0 else None,
        forwards=ledger.forwards,
        iterations=len(ledger.losses),
        samples_seen=ledger.samples_seen,
        before=ledger.before,
        after=ledger.after,
        base_path=base_path,
    )


def summary(name: str, ledger: Ledger, seconds: float) -> str:
    """The one line that a stage leaves behind."""
    assert ledger.before, "the stage is finished"
    assert ledger.after, "the stage is finished"
    return (
        f"distill {name}: residual {ledger.before.residual:.4f} -> {ledger.after.residual:.4f}, "
        f"distance to the true roll-out {ledger.before.rollout_distance:.3f} -> {ledger.after.rollout_distance:.3f}, "
        f"{ledger.samples_seen:,} samples, {sum(ledger.forwards.values()):,} forwards, {seconds:.0f} s"
    )
