"""Every `gpd` command line in the documentation is one that the command understands, option by option."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from gpd.cli import app

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "SECURITY.md", *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/*.md")))]
UsageError = typer.BadParameter.__mro__[1]  # typer brings a click of its own
ASSIGNMENT = re.compile(r"^[A-Z_]+=(\"[^\"]*\"|\S+) ")


def command_lines(text: str) -> Iterator[str]:
    """What follows `gpd` on the lines of examples, indented or in a fence, up to what the shell does with it."""
    for line in re.findall(r"^(?:    |\$ |    \$ )((?:[A-Z_]+=\S+ )*(?:\S*bin/)?gpd .*)$", text, re.MULTILINE):
        for part in re.split(r"; | && | \| ", line):
            words = ASSIGNMENT.sub("", re.split(r" #| > ", part)[0]).strip()
            if words.startswith("gpd "):
                yield words.removeprefix("gpd ")


def understand(words: list[str]) -> None:
    """Reads a command line as `gpd` does, down to the last command, and runs nothing.

    Raises:
        UsageError: there is no such command or option, a value is of another type, an argument is missing.
    """
    command: Any = typer.main.get_command(app)
    name: str | None = "gpd"
    while True:
        context = command.make_context(name, list(words))
        rest = [*context._protected_args, *context.args]
        if not isinstance(command, TyperGroup) or not rest:
            return
        name, command, words = command.resolve_command(context, rest)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_understood(page: str) -> None:
    for line in command_lines((ROOT / page).read_text()):
        try:
            understand(shlex.split(line))
        except UsageError as error:
            pytest.fail(f"{page}: gpd {line}: {error}")


@pytest.mark.parametrize("line", ["registry bets --steps 6", "registry best --steps six", "export k8 --too x"])
def test_what_is_none_is_found(line: str) -> None:
    with pytest.raises(UsageError):
        understand(shlex.split(line))
