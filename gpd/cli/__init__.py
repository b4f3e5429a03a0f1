"""The `gpd` command. Heavy imports happen inside commands, so that `gpd --help` answers at once."""

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from gpd.artifacts import UserError
from gpd.cli import before, bench, comparing, keeping, registry, setting_up, stages, tiny
from gpd.cli.export import export
from gpd.cli.generate import generate

app = typer.Typer(
    name="gpd",
    help="Guided Progressive Distillation: Wan2.1 in 6 steps instead of 48 x 2, reproducibly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (  # in the order of the help
    *(setting_up.use, setting_up.fetch, setting_up.plan, setting_up.status),
    *(stages.prepare, stages.encode, stages.distill, stages.sample, stages.evaluate, stages.report),
    *(comparing.table, comparing.compare, comparing.floors, comparing.vbench, comparing.ablate),
    *(generate, export),
    *(keeping.verify, keeping.clean),
)
for command in COMMANDS:
    app.command()(command)
app.command(hidden=True)(stages.reference)
app.add_typer(tiny.app, name="tiny")
app.add_typer(bench.app, name="bench")
app.add_typer(registry.app, name="registry")


@app.callback()
def gpd(
    wait: Annotated[
        bool, typer.Option("--wait", help="if another process is at the same stage, wait for it instead of ending")
    ] = False,
) -> None:
    """Guided Progressive Distillation: Wan2.1 in 6 steps instead of 48 x 2, reproducibly."""
    before.waits.set(wait)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """A machine that is taken back, a cancelled flow: what is open is closed, and the run's record is written."""
    sys.exit(128 + number)


def main() -> None:
    """Entry point: a user's mistake is one line and its exit status, mostly 2; SIGTERM ends it with 143."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"gpd: {error}", file=sys.stderr)
        sys.exit(error.status)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"gpd: {name}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
