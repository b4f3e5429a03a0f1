"""What commands do before their work: read params.yaml, see that there is room, and that nobody else is at it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import typer

waits = ContextVar("waits", default=False)  # for whoever is at the same stage, instead of ending


def read_params() -> Any:
    """As the project has it now, checked."""
    from gpd.params import load_params

    return load_params()


@contextlib.contextmanager
def alone(stage: str, part: str | None = None) -> Iterator[None]:
    """While the block runs, a second process with the same stage ends at once, with status 75.

    With `gpd --wait` it waits, and ends if its own work was done meanwhile.
    """
    from gpd.data.meanwhile import was_made
    from gpd.data.occupied import occupying, output_lock

    waited: list[str] = []
    began = time.time()
    with occupying(stage, output_lock(stage, part), _waiting(waited) if waits.get() else None):
        if waited and part is None and was_made(stage, read_params(), began):
            typer.echo(f"{stage}: done by the process that was waited for")
            raise typer.Exit
        yield


def _waiting(waited: list[str]) -> Callable[[str], None]:
    def on_wait(holder: str) -> None:
        waited.append(holder)
        typer.echo(f"gpd: {holder}; waiting for it", err=True)

    return on_wait


def check_room(params: Any, stage: str) -> None:
    """Raises a UserError if the disk has no room for what the stage will write."""
    from gpd.planning.room import check_room

    check_room(params, stage)
