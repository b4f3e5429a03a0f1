"""Checkpoints in the registry: their hash, their scores, and a folder on this machine with their files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.process import StageFailedError, environment, read_command
from flows.sections import subjects
from flows.tree import Overrides, find_commit, params_of
from gpd.artifacts import NotFoundError, UserError
from gpd.documents import StudentFacts, load_manifest


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as the registry shows it."""

    content: str
    name: str
    scores: tuple[dict[str, Any], ...]

    def score(self, metric: str, protocol: str) -> dict[str, Any] | None:
        """Its complete score in a metric under a protocol, if it has one."""
        fits = (s for s in self.scores if s["metric"] == metric and s["protocol"] == protocol and s["is_complete"])
        return next(fits, None)


def look_up(root: Path, key: str) -> Checkpoint | None:
    """The registry's entry for an alias, a hash or a name; None if there is none.

    Raises:
        UserError: the registry cannot say: it is missing, or what it has of this checkpoint is damaged.
    """
    shown = _ask(root, "show", key)
    return shown and Checkpoint(shown["content"], shown["name"] or key, tuple(shown["scores"]))


def _ask(root: Path, question: str, key: str) -> Any:
    """The registry's answer about something; None if nothing is called so."""
    env = environment(GPD_REGISTRY_URL=registry_url(root))
    try:
        return json.loads(read_command(["gpd", "registry", question, "--json", "--", key], cwd=root, env=env))
    except StageFailedError as error:
        if error.exit_status == NotFoundError.status:
            return None
        if error.exit_status == UserError.status:
            raise UserError(f"checkpoint {key!r}: {error.last_lines[-1].removeprefix('gpd: ')}") from None
        raise


def registry_url(root: Path) -> str:
    """The registry of a repository, or the one that the environment names."""
    return environment().get("GPD_REGISTRY_URL") or str(root / "registry.db")


def as_subject(root: Path, commit: str, overrides: Overrides, checkpoint: str) -> tuple[str, dict[str, Path]]:
    """How a checkpoint is evaluated: the subject's name, and the folder that takes its place in the run's tree.

    Args:
        checkpoint: a subject of params.yaml, or what `gpd registry resolve` takes: an alias, `best:6`, a hash, a name.

    Raises:
        UserError: it is neither in params.yaml nor in the registry, its files are not on this machine, or no stage of
            params.yaml has its horizon.
    """
    params = params_of(root, find_commit(root, commit), overrides)
    known = subjects(params)
    if checkpoint in known:
        return checkpoint, {}
    found = _ask(root, "resolve", checkpoint)
    if found is None:
        raise UserError(f"checkpoint {checkpoint!r}: not in the registry, nor among {', '.join(known)} of params.yaml")
    folder = root / found["path"]
    name = place_of(params, found["name"] or checkpoint, load_manifest(folder, StudentFacts).facts.horizon)
    return name, {name: folder}


def place_of(params: dict[str, Any], name: str, horizon: int) -> str:
    """The stage whose student a checkpoint stands in for, as it samples in as many steps: of its name if there is one.

    Raises:
        UserError: there is none.
    """
    alike = [stage for stage, its in params["distill"]["stages"].items() if its["horizon"] == horizon]
    if not alike:
        raise UserError(f"checkpoint {name!r}: its horizon is {horizon}; params.yaml: distill.stages has none of this")
    return name if name in alike else alike[-1]  # subjects of params.yaml have the names of stages
