"""What comes before the first stage: a model, its weights, and what all of it will take."""

from typing import Annotated

import typer

from gpd.artifacts import UserError
from gpd.cli.before import read_params


def use(profile: Annotated[str, typer.Argument(help="such as tiny-wan; a wrong name lists them")]) -> None:
    """Write params.yaml for a model."""
    from gpd.models import use

    use.run(profile)


def fetch() -> None:
    """Check the base model's weights (download them where the profile names a hub) and write their manifest."""
    from gpd.models import fetch

    fetch.run(read_params())


def plan(
    profile: Annotated[str | None, typer.Option(help="a profile's name; without it params.yaml")] = None,
    gpu: Annotated[str, typer.Option(help="NAME:NUMBER, such as h100:8, a100-80:1, rtx4090:1")] = "h100:1",
    as_json: Annotated[bool, typer.Option("--json", help="print the plan as JSON")] = False,
) -> None:
    """Say what a pipeline needs before anything is loaded: memory by part, forwards, time, disk."""
    from gpd.planning import plan as planning
    from gpd.planning import tables

    made = planning.make_plan(*planning.load(profile), gpu)
    if as_json:
        print(made.model_dump_json(indent=2))
    else:
        tables.show(made)
    if not made.fits:
        raise UserError(planning.refusal(made))


def status() -> None:
    """Say where things stand: model, devices, stale stages, unfinished work, disk, registry."""
    from gpd.upkeep import status

    status.run(read_params())
