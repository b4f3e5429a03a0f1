"""The environment in which the published `vbench` package runs: a virtual environment of its own.

Its pins (numpy below 2, an old transformers) conflict with ours, so nothing of it is imported here: `runner.py` is
started there as a script with a request in JSON, and leaves its answer in JSON.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.documents.reading import parse_json

HERE = Path(__file__).parent
RUNNER, REQUIREMENTS, ALL_REQUIREMENTS = HERE / "runner.py", HERE / "requirements.txt", HERE / "requirements-all.txt"
TORCH = "torch==2.13.0"  # with its own dependencies; PyPI's build for Linux is the CUDA one
LIGHT = {"temporal_flickering"}  # dimensions that need no more than requirements.txt
DETECTION = {"object_class", "multiple_objects", "color", "spatial_relationship"}
DETECTRON = "git+https://github.com/facebookresearch/detectron2.git"
OURS = ".made-by-gpd"
NUM_LINES_SHOWN = 15


def open_environment(folder: Path, dimensions: list[str], static_filter: bool) -> Path:
    """The Python of the environment in `folder`, made if there is none, widened if more is needed.

    A folder that is there and was not made here is the user's own environment: taken as it is.

    Raises:
        UserError: it cannot be made, or detectron2, which is on no index, is needed and not there.
    """
    python = folder / "bin" / "python"
    if not folder.exists() or (folder / OURS).is_file():
        _make(folder, bool(static_filter or set(dimensions) - LIGHT))
    elif not python.exists():
        raise UserError(f"--environment={folder}: not an environment (bin/python is missing)")
    if detecting := sorted(DETECTION & set(dimensions)):
        code = "import importlib.util as u; print(u.find_spec('detectron2') is not None)"
        if _call([str(python), "-c", code]).strip() != "True":
            raise UserError(
                f"{detecting[0]} needs detectron2: {python} -m pip install --no-build-isolation '{DETECTRON}'"
            )
    return python


def _make(folder: Path, is_all_needed: bool) -> None:
    if not _is_made_of(folder, REQUIREMENTS):
        print(f"vbench: making its environment in {folder} (once)", file=sys.stderr, flush=True)
        artifacts.write_text(folder / OURS, "made by gpd vbench\n")
        _call([sys.executable, "-m", "venv", str(folder)])
        _install(folder / "bin" / "python", TORCH)
        _install_pinned(folder, REQUIREMENTS)
    if is_all_needed and not _is_made_of(folder, ALL_REQUIREMENTS):
        print(f"vbench: more packages for {folder} (once)", file=sys.stderr, flush=True)
        _install_pinned(folder, ALL_REQUIREMENTS)


def _is_made_of(folder: Path, requirements: Path) -> bool:
    marker = folder / f".{requirements.name}"
    return marker.is_file() and marker.read_text(encoding="utf-8") == requirements.read_text(encoding="utf-8")


def _install_pinned(folder: Path, requirements: Path) -> None:
    """The marker is written last: an install that was stopped is done again."""
    _install(folder / "bin" / "python", "--no-deps", "-r", str(requirements))
    artifacts.write_text(folder / f".{requirements.name}", requirements.read_text(encoding="utf-8"))


def full_info(python: Path) -> Path:
    """The VBench_full_info.json inside the package.

    Raises:
        UserError: the environment has no vbench.
    """
    code = "import importlib.util as u; print(u.find_spec('vbench').submodule_search_locations[0])"
    return Path(_call([str(python), "-c", code]).strip()) / "VBench_full_info.json"


def ask(python: Path, request: dict[str, Any], folder: Path, cache: Path) -> dict[str, Any]:
    """Runs a request (see runner.py) in the environment; `folder` keeps request.json, answer.json and log.txt.

    Raises:
        UserError: VBench failed, with the end of what it printed.
    """
    artifacts.write_json(folder / "request.json", request)
    answer, log = folder / "answer.json", folder / "log.txt"
    answer.unlink(missing_ok=True)
    # Some of VBench's weights are pickles of more than tensors, which torch refuses. That stays so: who trusts the
    # files sets TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 in the environment, which is handed on.
    settings = {"VBENCH_CACHE_DIR": str(cache.resolve())}
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [str(python.absolute()), str(RUNNER), str(folder / "request.json"), str(answer)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | settings,
        )
    if done.returncode or not answer.is_file():
        raise UserError(
            f"{log}: vbench ended with status {done.returncode}:\n{_tail(log.read_text('utf-8', 'replace'))}"
        )
    found: dict[str, Any] = parse_json(answer.read_text(encoding="utf-8"))
    return found


def _install(python: Path, *words: str) -> None:
    _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words])


def _call(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(command)}: status {done.returncode}:\n{_tail(done.stderr)}")
    return done.stdout


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-NUM_LINES_SHOWN:])
