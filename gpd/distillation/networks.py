"""The networks of a stage: three with weights of their own, or one that teacher, previous student and student share."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh

from gpd import documents
from gpd.artifacts import UserError
from gpd.core.precision import fast_dtype
from gpd.core.schedule import make_grid
from gpd.distillation.objectives import objective_of
from gpd.distillation.processes.sharding import ENVIRONMENT, choose_mesh, planned_bytes, shard
from gpd.distillation.processes.share import CPU
from gpd.distillation.stage import stage_seed
from gpd.models.adapted import is_adapter, load_adapter_document
from gpd.models.adapters import WEIGHTS_FILE, load_factors, merge
from gpd.models.families import open_model
from gpd.models.network import as_plain
from gpd.models.roles import Role, Roles
from gpd.params import Model, Params


class Networks(NamedTuple):
    """Frozen, on their device; `previous` is None if no target needs it.

    Attributes:
        mesh: of the processes that teacher and previous student are cut over; the student is still whole then, and on
            the CPU.
    """

    student: nn.Module
    teacher: nn.Module
    previous: nn.Module | None
    mesh: DeviceMesh | None = None


def load_networks(params: Params, name: str, device: torch.device, *, has_previous: bool) -> Networks:
    """Those of stage `name`; one set of weights for all of them if it trains factors.

    Raises:
        UserError: weights are missing, or the student before is not one to begin from.
    """
    load = _share_weights if params.distill.lora_rank > 0 else _load_each
    return load(params, name, device, has_previous)


def _load_each(params: Params, name: str, device: torch.device, has_previous: bool) -> Networks:
    model, distill, previous = params.model, params.distill, params.distill.stages[name].previous
    # On the CPU first: if it is cut, it goes to the devices block by block.
    student = _load(model, previous, "float32", CPU, checkpointing=model.gradient_checkpointing)
    merge(student)  # the student before may have been an adapter
    objective_of(distill, distill.stages[name]).prepare(student, params, name)
    formats: dict[str, str] = {model.path: model.dtype}
    if has_previous:
        formats[previous] = open_model(previous).student_dtype(model.dtype)
    mesh = choose_mesh(device, _planned_bytes(params, student, formats.values(), device))
    if mesh is None:
        student.to(device)
    elif (number := distill.guidance.skip_block) is not None:
        # Whoever leaves a block out and whoever does not would wait for each other's weights
        raise UserError(f"params.yaml: distill.guidance.skip_block={number} must be null for networks that are cut")
    frozen = [_load(model, folder, dtype, device, mesh) for folder, dtype in formats.items()]
    before = None
    if has_previous:
        before = as_plain(frozen[1], make_grid(model.grid_steps, model.shift), distill.stages[name].horizon)
    return Networks(student.requires_grad_(False), frozen[0], before, mesh)


def _planned_bytes(params: Params, student: nn.Module, formats: Iterable[str], device: torch.device) -> int:
    dtypes: list[torch.dtype] = [getattr(torch, fast_dtype(name, device)) for name in formats]
    return planned_bytes(
        sum(weight.numel() for weight in student.parameters()),
        has_average=params.distill.ema_decay > 0,
        frozen_bytes=sum(dtype.itemsize for dtype in dtypes),
    )


def _share_weights(params: Params, name: str, device: torch.device, has_previous: bool) -> Networks:
    model, distill, stage = params.model, params.distill, params.distill.stages[name]
    check_previous(params, name)
    if choose_mesh(device, 0):
        rank = distill.lora_rank
        raise UserError(
            f"{ENVIRONMENT}=full: with distill.lora_rank={rank} all roles share weights, which stay whole: beside the "
            "activations they are the smaller part, and `gpd plan` says what fits"
        )
    base = _load(model, model.path, model.dtype, device, checkpointing=model.gradient_checkpointing)
    roles = Roles(base, distill.lora_rank)
    return Networks(
        student=begin_role(roles, "student", stage.previous, stage_seed(distill, stage)),
        teacher=roles.plain(),
        previous=begin_role(roles, "previous", stage.previous) if has_previous else None,
    )


def begin_role(roles: Roles, name: str, folder: str, seed: int = 0) -> Role:
    """A role with the factors of the student in `folder`; with fresh ones if the base model lies there."""
    if not is_adapter(Path(folder)):
        return roles.begin(name, seed)
    return roles.load(name, load_factors(Path(folder)), Path(folder) / WEIGHTS_FILE)


def check_previous(params: Params, name: str) -> None:
    """Whether a stage of factors can begin from its previous student.

    Raises:
        UserError: that has weights of its own, or is an adapter for another base model.
    """
    previous, base = params.distill.stages[name].previous, documents.identify(Path(params.model.path))
    where = f"params.yaml: distill.stages.{name}.previous={previous}"
    if is_adapter(Path(previous)):
        if load_adapter_document(Path(previous)).base != base:
            raise UserError(f"{where}: an adapter for another base model than model.path={params.model.path}")
    elif documents.identify(Path(previous)) != base:
        raise UserError(
            f"{where}: whole weights; with distill.lora_rank={params.distill.lora_rank} a stage begins from "
            "the base model or from an adapter"
        )


def _load(
    model: Model,
    folder: str,
    dtype: str,
    device: torch.device,
    mesh: DeviceMesh | None = None,
    *,
    checkpointing: bool = False,
) -> Any:
    network = open_model(folder).load_network(
        device, merge_padding=model.merge_padding, dtype=dtype, gradient_checkpointing=checkpointing
    )
    network.requires_grad_(False)
    if mesh:
        shard(network, mesh)
    return network
