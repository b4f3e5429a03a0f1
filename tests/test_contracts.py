"""The contracts of pyproject.toml have no holes: in a copy of the packages, a planted module breaks each of them."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
Plant = dict[str, str]  # file -> what is written at its end

PLANTS: list[tuple[str, Plant]] = [
    ("Rooms import only what lies below them (ARCHITECTURE.md)", {"gpd/pages/planted.py": "import gpd.registry"}),
    ("Rooms import only what lies below them (ARCHITECTURE.md)", {"gpd/sampling/planted.py": "import gpd.planning"}),
    ("Rooms import only what lies below them (ARCHITECTURE.md)", {"gpd/planted.py": ""}),  # a room of no layer
    ("Rooms import only what lies below them (ARCHITECTURE.md)", {"gpd/sampling/planted.py": "import gpd.release"}),
    (
        "No two modules of a room wait for each other",
        {"gpd/data/one.py": "import gpd.data.two", "gpd/data/two.py": "def later():\n    import gpd.data.one"},
    ),
    (
        "No two modules of a room wait for each other",
        {"flows/one.py": "import flows.two", "flows/two.py": "import flows.one"},
    ),
    ("The core is tensors and nothing else", {"gpd/core/planted.py": "import yaml"}),
    ("gpd runs without Prefect and without DVC's Python API", {"gpd/tiny/planted.py": "import prefect"}),
    ("Params, stages and documents are read without tensors", {"gpd/progress.py": "import torch"}),
    ("Flows never touch tensors or commands", {"flows/planted.py": "import torch"}),
    ("Flows never touch tensors or commands", {"flows/planted.py": "import gpd.distillation.costs"}),
    ("Only models/ speaks diffusers, transformers and peft", {"gpd/evaluation/planted.py": "import diffusers"}),
    ("Only models/ speaks diffusers, transformers and peft", {"gpd/distillation/planted.py": "import peft"}),
    ("Only models/ speaks diffusers, transformers and peft", {"gpd/release/planted.py": "import diffusers"}),
    ("Only registry/ speaks SQL", {"gpd/report/planted.py": "import sqlmodel"}),
    ("Only data/clips.py reads and writes video files", {"gpd/data/planted.py": "import av"}),
    ("Only data/shards.py speaks webdataset", {"gpd/sampling/planted.py": "import webdataset"}),
]

# For a process in which gpd and flows are those of the copy: plants, reports, uproots.
REPORTS = """
import json, sys
from pathlib import Path
from importlinter import configuration
from importlinter.application import use_cases

configuration.configure()
options = use_cases.read_user_options("pyproject.toml")
use_cases._register_contract_types(options)

def broken(plant):
    before = {name: Path(name).read_text() if Path(name).exists() else None for name in plant}
    for name, source in plant.items():
        Path(name).write_text((before[name] or "") + source + "\\n")
    report = use_cases.create_report(options, cache_dir=".cache")
    for name, text in before.items():
        Path(name).unlink() if text is None else Path(name).write_text(text)
    return [contract.name for contract, check in report.get_contracts_and_checks() if not check.kept]

print(json.dumps([broken(plant) for plant in json.loads(sys.argv[1])]))
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The contracts that each plant breaks, and last those that the clean copy breaks."""
    copy = tmp_path_factory.mktemp("contracts")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in ("gpd", "flows"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    plants = json.dumps([*(plant for _, plant in PLANTS), {}])
    done = subprocess.run(
        [sys.executable, "-c", REPORTS, plants],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_packages_keep_every_contract(broken: list[list[str]]) -> None:
    assert broken[-1] == []


@pytest.mark.parametrize("number", range(len(PLANTS)), ids=[f"{name}: {next(iter(plant))}" for name, plant in PLANTS])
def test_an_offender_breaks_its_contract(broken: list[list[str]], number: int) -> None:
    assert PLANTS[number][0] in broken[number]


def test_every_contract_has_an_offender() -> None:
    assert {name for name, _ in PLANTS} == {contract["name"] for contract in CONTRACTS}
