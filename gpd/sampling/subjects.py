"""Who is sampled, as params.yaml says: the guided teacher, its baselines, the students."""

from pathlib import Path

from torch import Tensor

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.core.schedule import make_grid
from gpd.documents import StudentFacts
from gpd.models import wan
from gpd.params import Params
from gpd.sampling.subject import Subject, pick_device, student_grid


def load_teacher(params: Params, negative: Tensor) -> Subject:
    """The guided teacher on the base grid; `negative` is the negative prompt's embedding [L, D]."""
    model, device = params.model, pick_device()
    network = wan.load_network(Path(model.path), merge_padding=model.merge_padding, dtype=model.dtype)
    return Subject(
        name=f"teacher-{model.grid_steps}",
        network=network.to(device),
        grid=make_grid(model.grid_steps, model.shift),
        shift=model.shift,
        solver="euler",
        guidance_scale=params.reference.guidance_scale,
        negative=negative,
        device=device,
    )


def make_baselines(params: Params, teacher: Subject) -> list[Subject]:
    """The undistilled teacher as params.evaluate.baselines say."""
    return [
        Subject(
            name=name,
            network=teacher.network,
            grid=make_grid(baseline.steps, params.model.shift),
            shift=params.model.shift,
            solver=baseline.solver,
            guidance_scale=baseline.guidance_scale,
            negative=teacher.negative,
            device=teacher.device,
        )
        for name, baseline in params.evaluate.baselines.items()
    ]


def load_student(params: Params, folder: Path, negative: Tensor) -> Subject:
    """A student with the grid that its horizon gives, Euler steps and no guidance.

    Raises:
        UserError: there is none, or it was trained on another grid.
    """
    model, device = params.model, pick_device()
    manifest = documents.load_manifest(folder, StudentFacts)
    facts, trained = manifest.facts, manifest.params.get("model", {})
    for key in ("grid_steps", "shift"):
        if trained.get(key, getattr(model, key)) != getattr(model, key):
            raise UserError(
                f"{folder}/{artifacts.MANIFEST}: trained with model.{key}={trained[key]}, "
                f"params.yaml says {getattr(model, key)}"
            )
    network = wan.load_network(folder, merge_padding=model.merge_padding, dtype=model.dtype)
    return Subject(
        name=facts.stage,
        network=network.to(device),
        grid=student_grid(model.grid_steps, facts.horizon, model.shift),
        shift=model.shift,
        solver="euler",
        guidance_scale=1.0,
        negative=negative,
        device=device,
    )
