"""Loads what is sampled: the teacher, guided or not, and the students."""

from pathlib import Path

from torch import Tensor

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.core.precision import multiply_on_tensor_cores
from gpd.core.schedule import make_grid
from gpd.documents import StudentFacts
from gpd.models.families import open_model
from gpd.models.network import as_plain
from gpd.params import REFERENCE, Params
from gpd.sampling.subject import Subject, student_grid


def load_subject(params: Params, name: str, negative: Tensor, device: str) -> Subject:
    """A key of sample.subjects; `negative` is the negative prompt's embedding [L, D]."""
    checkpoint = params.sample.subjects[name].checkpoint
    if checkpoint == params.model.path:
        return load_teacher(params, negative, device, name)
    return load_student(params, Path(checkpoint), negative, device)


def load_teacher(params: Params, negative: Tensor, device: str, name: str = REFERENCE) -> Subject:
    """The base model, sampled by the settings under `name` in params.sample.subjects."""
    model, asked = params.model, params.sample.subjects[name]
    base = open_model(model.path)
    network = base.load_network(device, merge_padding=model.merge_padding, dtype=model.dtype)
    return Subject(
        name=f"teacher-{asked.steps}" if name == REFERENCE else name,
        network=network,
        grid=make_grid(asked.steps, model.shift),
        shift=model.shift,
        make_solver=base.solvers[asked.solver],
        guidance_scale=asked.guidance_scale,
        negative=negative,
        device=device,
    )


def load_student(params: Params, folder: Path, negative: Tensor, device: str) -> Subject:
    """A student with the grid that its horizon gives, Euler steps and no guidance.

    Raises:
        UserError: there is none, or it was trained on another grid.
    """
    model = params.model
    manifest = documents.load_manifest(folder, StudentFacts)
    facts = manifest.facts
    for key, value in (("model.grid_steps", model.grid_steps), ("model.shift", model.shift)):
        trained = manifest.params.get(key, value)
        if trained != value:
            raise UserError(f"{folder}/{artifacts.MANIFEST}: trained with {key}={trained}, params.yaml says {value}")
    key = f"distill.stages.{facts.stage}.horizon"
    if (trained := manifest.params.get(key, facts.horizon)) != facts.horizon:
        raise UserError(f"{folder}/{artifacts.MANIFEST}: facts.horizon={facts.horizon}, but {key}={trained} beside it")
    student = open_model(folder)
    multiply_on_tensor_cores(model.dtype)
    dtype = student.student_dtype(model.dtype)
    network = student.load_network(device, merge_padding=model.merge_padding, dtype=dtype)
    return Subject(
        name=facts.stage,
        network=as_plain(network, make_grid(model.grid_steps, model.shift), facts.horizon),
        grid=student_grid(model.grid_steps, facts.horizon, model.shift),
        shift=model.shift,
        make_solver=student.solvers["euler"],
        guidance_scale=1.0,
        negative=negative,
        device=device,
    )
