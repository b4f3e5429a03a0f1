"""constraints.txt is what `make audit` can read and what the package needs: each version said once, none left open."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def pinned() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_every_version_is_exact_and_said_once() -> None:
    assert all(re.fullmatch(r"==[^*]+", str(one.specifier)) for one in pinned())
    names = [canonicalize_name(one.name) for one in pinned()]
    assert len(names) == len(set(names))


def test_what_the_package_needs_is_among_them_and_in_range() -> None:
    versions = {canonicalize_name(one.name): next(iter(one.specifier)).version for one in pinned()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for needed in map(Requirement, project["dependencies"]):
        assert needed.specifier.contains(versions[canonicalize_name(needed.name)]), str(needed)
