"""A finished student as a folder: a diffusers pipeline or adapter, its training curve, its card and its manifest."""

import csv
from pathlib import Path
from typing import Any

from gpd import artifacts, documents
from gpd.data.strips import Strip, save_strip
from gpd.distillation.card import write_card
from gpd.distillation.ledger import Ledger
from gpd.documents import BaseFacts, Identity, Manifest, StudentFacts
from gpd.models.adapted import save_adapted
from gpd.models.families import open_model
from gpd.models.roles import Role
from gpd.params import Params, student_path
from gpd.stages import settings_of


def publish(
    params: Params, name: str, inputs: dict[str, Identity], student: Any, ledger: Ledger, strip: Strip | None = None
) -> Manifest[StudentFacts]:
    """Writes data/students/NAME, whole or not at all."""
    with artifacts.replacing(Path(student_path(name))) as folder:
        _save_weights(params, folder, student)
        with (folder / "training.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(ledger.curve[0]))
            writer.writeheader()
            writer.writerows(ledger.curve)
        if strip is not None:
            save_strip(folder, strip)
        facts = _facts(params, name, ledger, student)
        settings = settings_of(f"distill@{name}", params.model_dump())
        teacher = documents.load_manifest(Path(params.model.path), BaseFacts).facts
        write_card(folder, facts, documents.flatten(settings), inputs, teacher, open_model(params.model.path).exchange)
        return documents.write_manifest(folder, facts, inputs=inputs, params=settings)


def _save_weights(params: Params, folder: Path, student: Any) -> None:
    """A whole pipeline; an adapter without its base model if that is what was trained."""
    model = params.model
    base = open_model(model.path)
    if isinstance(student, Role):
        save_adapted(base, folder, student.adapter, grid_steps=model.grid_steps, shift=model.shift)
    else:
        base.save_student(folder, student, grid_steps=model.grid_steps, shift=model.shift)


def _facts(params: Params, name: str, ledger: Ledger, student: Any) -> StudentFacts:
    assert ledger.before, "the stage is finished"
    assert ledger.after, "the stage is finished"
    is_adapter = isinstance(student, Role)
    heads = None if is_adapter else student.heads
    steps = None if is_adapter else student.steps
    grid_steps, horizon = params.model.grid_steps, params.distill.stages[name].horizon
    return StudentFacts(
        stage=name,
        horizon=horizon,
        horizons=[] if steps is None else steps.horizons.tolist(),
        grid_steps=grid_steps,
        sampling_steps=grid_steps // horizon if grid_steps % horizon == 0 else None,
        forwards=ledger.forwards,
        iterations=len(ledger.losses),
        samples_seen=ledger.samples_seen,
        before=ledger.before,
        after=ledger.after,
        heads=None if heads is None else heads.number,
        base_path=params.model.path if is_adapter else None,
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
