"""Loads what is sampled: the teacher, guided or not, and the students."""

from pathlib import Path

from torch import Tensor

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.core.precision import multiply_on_tensor_cores
from gpd.core.schedule import make_grid
from gpd.core.velocity import Network
from gpd.documents import StudentFacts
from gpd.models.families import open_model
from gpd.models.network import VideoNetwork, as_plain
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


def load_student(params: Params, folder: Path, negative: Tensor, device: str, horizon: int | None = None) -> Subject:
    """A student with the grid that its horizon gives, Euler steps and no guidance.

    Args:
        horizon: a shorter one that it has learnt beside its own.

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
        network=at_horizon(network, params, facts, horizon or facts.horizon),
        grid=student_grid(model.grid_steps, horizon or facts.horizon, model.shift),
        shift=model.shift,
        make_solver=student.solvers["euler"],
        guidance_scale=1.0,
        negative=negative,
        device=device,
    )


def at_horizon(network: VideoNetwork, params: Params, facts: StudentFacts, horizon: int) -> Network:
    """The student's network as it takes steps of a horizon: the plain one at its own."""
    if horizon != facts.horizon:
        return network.at(horizon)
    return as_plain(network, make_grid(params.model.grid_steps, params.model.shift), horizon)
