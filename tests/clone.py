"""Copies of this repository, as repositories of their own, at smoke size."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.curricula import student_subject
from tests.patience import run_patiently

ROOT = Path(__file__).parents[1]
MOST = {"clips": 16, "evaluation_clips": 8}  # clips in a copy: encoding all of them would take longer than all the rest
MOST_PROMPTS = 24
AUTHOR = ("-c", "user.name=t", "-c", "user.email=t@example.org")


def environment(cwd: Path, **extra: str) -> dict[str, str]:
    """This environment's commands first, DVC's site cache beside the copy.

    One process to a stage: a second one takes longer to import torch and diffusers than all samples of a copy take.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "DVC_SITE_CACHE_DIR": str(cwd.parent / "site-cache"), "DVC_NO_ANALYTICS": "1"}
    own["GPD_PROCESSES"] = "1"
    return {**os.environ, **own, **extra}


def run(*words: str, cwd: Path) -> str:
    """Runs a command of this environment in the copy; its output, or a failure that shows it."""
    done = run_patiently(words, cwd, environment(cwd))
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def edit_params(workspace: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = workspace / "params.yaml"
    raw = yaml.safe_load(path.read_text())
    edit(raw)
    path.write_text(yaml.safe_dump(raw, sort_keys=False))


def smoke(raw: dict[str, Any]) -> None:
    """Two stages of a few iterations and four prompts, one evaluated student: minutes become seconds."""
    raw["prepare"]["num_evaluation_prompts"] = 8
    raw["distill"] |= {"final_steps": 6, "pool_slots": 8, "probe": {"num_states": 2}, "warmup_iterations": 1}
    common = {"iterations": 3, "batch": 4, "learning_rate": 1e-5}
    raw["distill"]["stages"] = {
        "k1": {"horizon": 1, "tail": 1, "previous": "data/tiny-wan", **common},
        "k8": {"horizon": 8, "tail": 1, "previous": "data/students/k1", **common},
    }
    kept = {name: raw["sample"]["subjects"][name] for name in ("reference", "teacher-6")}
    raw["sample"] |= {"num_prompts": 4, "batch": 4, "diversity_prompts": 1, "diversity_seeds": 2}
    raw["sample"]["subjects"] = kept | {"k8": student_subject(8)}
    raw["evaluate"] |= {"batch": 4, "num_shown_clips": 2}
    raw["report"]["num_clips"] = 2


def shorten_source(source: Path) -> None:
    """Leaves the first of the prompts and of the clips in each folder."""
    prompts = source / "prompts.txt"
    prompts.write_text("".join(prompts.read_text().splitlines(keepends=True)[:MOST_PROMPTS]))
    for name, most in MOST.items():
        captions = source / name / "captions.jsonl"
        lines = captions.read_text().splitlines(keepends=True)
        captions.write_text("".join(lines[:most]))
        for line in lines[most:]:
            (source / name / json.loads(line)["file"]).unlink()


def make_copy(folder: Path) -> Path:
    """The tracked files at smoke size, committed, nothing run."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    edit_params(folder, smoke)
    shorten_source(folder / "data" / "sources" / "tiny-wan")
    run("git", "init", "-q", cwd=folder)
    commit(folder, "smoke")
    return folder


def copy_tree(source: Path, folder: Path) -> Path:
    """A copy of a repository with its caches; a reflink where the disk can."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(folder)], check=True)
    return folder


def commit(folder: Path, message: str) -> None:
    run("git", "add", "-A", cwd=folder)
    run("git", *AUTHOR, "commit", "-q", "--allow-empty", "-m", message, cwd=folder)
