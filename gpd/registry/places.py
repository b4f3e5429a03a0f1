"""Where the files of a checkpoint are: this workspace, a flow's or the ablation's tree, DVC's cache, its remotes."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from gpd.artifacts import WORK, UserError, hash_files, list_files
from gpd.params import student_path
from gpd.registry.documents import OUTPUTS, read_dvc_lock
from gpd.registry.dvc_remote import fetch, network_remotes
from gpd.registry.dvc_store import CHECKPOINTS, check_out, read_config, remotes
from gpd.registry.finding import SHORT, content_at, label, locations_of, path_here
from gpd.registry.tables import Artifact, Evaluation, Location, Run, RunOutput

TREES = (WORK / "flows", WORK / "ablation")


@dataclass(frozen=True)
class FoundCheckpoint:
    """A checkpoint whose files are here: `path` is the folder, `content` is from its manifest."""

    content: str
    name: str | None
    path: Path


def locate(*, artifact: Artifact, session: Session, workspace: Path = Path()) -> FoundCheckpoint:
    """Where the files of an artifact are on this machine. What comes from elsewhere than the workspace is hashed.

    Raises:
        UserError: they are not here, with what is there instead and how to get them.
    """
    content, places = artifact.content, locations_of(artifact.content, session)
    recorded = [place.dvc_md5 for place in places if place.dvc_md5]
    path = path_here(content, session, workspace) or _elsewhere(content, recorded, workspace)
    problems: list[str] = []
    if path is None:
        md5s = recorded or _md5s_of_subject(content, session, workspace)
        path = _from_remotes(artifact, md5s, workspace, problems)
    if path is None:
        advice = _advice(artifact, session, workspace)
        raise UserError("; ".join([f"{label(artifact)}: {_where_not(places, workspace)}", *problems, advice]))
    return FoundCheckpoint(content, artifact.name, path)


def _elsewhere(content: str, md5s: list[str], workspace: Path) -> Path | None:
    if content_at(made := workspace / CHECKPOINTS / content) == content:
        return made  # hashed when it was made
    for folder in _in_trees(workspace):
        if content_at(folder) == content and hash_files(list_files(folder)) == content:
            return folder
    return check_out(content, workspace, md5s)


def _from_remotes(artifact: Artifact, md5s: list[str], workspace: Path, problems: list[str]) -> Path | None:
    """By way of DVC's cache, from the first remote that has it; `problems` takes what is wrong with the others."""
    for name in network_remotes(workspace) if md5s else []:
        print(f"gpd: {label(artifact)}: from DVC remote {name}", file=sys.stderr, flush=True)
        problem = fetch(md5s, name, workspace) or "does not have it"
        if (path := check_out(artifact.content, workspace, md5s)) is not None:
            return path
        problems.append(f"remote {name}: {problem}")
    return None


def _md5s_of_subject(content: str, session: Session, workspace: Path) -> list[str]:
    """What dvc.lock has for the student that was measured as this content: a new clone has made nothing itself."""
    subjects = session.exec(select(Evaluation.subject).where(Evaluation.checkpoint == content).distinct())
    lock = read_dvc_lock(workspace / "dvc.lock")
    outputs = [lock.get(student_path(subject), {}) for subject in subjects]
    return [output["md5"] for output in outputs if "md5" in output]


def _in_trees(workspace: Path) -> Iterator[Path]:
    """Every folder with a manifest, of the workspace itself and of the trees in it."""
    trees = [workspace, *(path for folder in TREES for path in sorted((workspace / folder).glob("*/")))]
    yield from (path.parent for tree in trees for pattern in OUTPUTS for path in sorted(tree.glob(pattern)))


def _where_not(places: list[Location], workspace: Path) -> str:
    there = [(place.path, content_at(workspace / place.path)) for place in places]
    holds = [f"{path} {f'holds {content[:SHORT]} now' if content else 'is not there'}" for path, content in there]
    return "; ".join(["not in this workspace, nor in a flow's tree, nor in DVC's cache", *holds])


def _advice(artifact: Artifact, session: Session, workspace: Path) -> str:
    """How they would come here, from the run that made them and DVC's configuration."""
    made = select(Run, RunOutput.path).join(RunOutput, col(RunOutput.run) == col(Run.id))
    made = made.where(RunOutput.content == artifact.content, Run.exit_code == 0).order_by(col(Run.started).desc())
    run, path = session.exec(made.limit(1)).first() or (None, None)
    origin = f"made on {run.host} at commit {str(run.git_commit)[:SHORT]}" if run else "made by no run recorded here"
    if names := list(remotes(read_config(workspace))):
        return f"{origin}; `dvc push {path or 'FOLDER'}` there, at that commit, puts them into remote {names[0]}"
    return f"{origin}; no DVC remote is configured, so bring that machine's {path or 'folder'} or DVC cache here"
