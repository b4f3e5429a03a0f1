"""The stages of dvc.yaml, a command each."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from gpd.artifacts import UserError
from gpd.cli.before import alone, check_room, read_params


def prepare() -> None:
    """DVC stage: collect and check prompts and clips."""
    from gpd.data import prepare

    with alone("prepare"):
        prepare.run(read_params())


def encode(
    shard: Annotated[str | None, typer.Option(help="i/n: only the shards of process i of n, for machines")] = None,
) -> None:
    """DVC stage: text embeddings, clip latents and teacher roll-outs as shards."""
    from gpd.data import encode

    params = read_params()
    with alone("encode", shard):
        check_room(params, "encode")
        encode.run(params, shard)


def distill(stage: Annotated[str, typer.Argument(help="a key of distill.stages, such as k1")]) -> None:
    """DVC stage: train one student, on every visible GPU or on GPD_PROCESSES processes."""
    from gpd.distillation import distill
    from gpd.distillation.processes import launch

    params = read_params()
    distill.check(params, stage, launch.num_processes())
    with alone(f"distill@{stage}") if launch.is_first() else contextlib.nullcontext():
        if launch.is_first():
            check_room(params, f"distill@{stage}")
        launch.on_all_processes(["-m", "gpd", "distill", stage], lambda: distill.run(params, stage))


def sample(
    subject: Annotated[str, typer.Argument(help="a key of sample.subjects, such as reference or k8")],
    shard: Annotated[
        str | None, typer.Option(help="i/n: only the parts of process i of n, for several machines")
    ] = None,
) -> None:
    """DVC stage: trajectories of the reference, an undistilled baseline or a student, as latents."""
    from gpd.sampling import sample

    params = read_params()
    with alone(f"sample@{subject}", shard):
        if subject in params.sample.subjects:
            check_room(params, f"sample@{subject}")
        sample.run(params, subject, shard)


def reference() -> None:
    """Says the command's new name."""
    raise UserError("reference: this command is called `gpd sample reference` now")


def evaluate(
    subject: Annotated[str | None, typer.Argument(help="a key of sample.subjects, such as reference or k8")] = None,
    clips: Annotated[Path | None, typer.Option(hidden=True)] = None,
    protocol: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """DVC stage: measure a subject's samples beside the reference's."""
    from gpd.evaluation import evaluate

    if protocol is not None:
        raise UserError("evaluate --protocol: this command is called `gpd vbench` now")
    if clips is not None:
        raise UserError("evaluate --clips A --reference B: this command is called `gpd compare A B` now")
    if subject is None:
        raise UserError("evaluate: name a subject, a key of sample.subjects in params.yaml")
    params = read_params()
    with alone(f"evaluate@{subject}"):
        check_room(params, f"evaluate@{subject}")
        evaluate.run(params, subject)


def report() -> None:
    """DVC stage: one self-contained HTML page."""
    from gpd.report import report

    params = read_params()
    with alone("report"):
        report.run(params)
