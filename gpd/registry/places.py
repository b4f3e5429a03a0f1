"""Where the files of a checkpoint are: this workspace, a flow's or the ablation's tree, what DVC keeps."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from gpd.artifacts import WORK, UserError, hash_files, list_files
from gpd.registry.documents import OUTPUTS
from gpd.registry.dvc_store import CHECKPOINTS, check_out, read_config, remotes
from gpd.registry.finding import SHORT, content_at, label, locations_of, path_here
from gpd.registry.tables import Artifact, Location, Run, RunOutput

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
    places = locations_of(artifact.content, session)
    path = path_here(artifact.content, session, workspace) or _elsewhere(artifact.content, places, workspace)
    if path is None:
        raise UserError(f"{label(artifact)}: {_where_not(places, workspace)}; {_advice(artifact, session, workspace)}")
    return FoundCheckpoint(artifact.content, artifact.name, path)


def _elsewhere(content: str, places: list[Location], workspace: Path) -> Path | None:
    if content_at(made := workspace / CHECKPOINTS / content) == content:
        return made  # hashed when it was made
    for folder in _in_trees(workspace):
        if content_at(folder) == content and hash_files(list_files(folder)) == content:
            return folder
    return check_out(content, workspace, next((place.dvc_md5 for place in places if place.dvc_md5), None))


def _in_trees(workspace: Path) -> Iterator[Path]:
    """Every folder with a manifest, of the workspace itself and of the trees in it."""
    trees = [workspace, *(path for folder in TREES for path in sorted((workspace / folder).glob("*/")))]
    yield from (path.parent for tree in trees for pattern in OUTPUTS for path in sorted(tree.glob(pattern)))


def _where_not(places: list[Location], workspace: Path) -> str:
    there = [(place.path, content_at(workspace / place.path)) for place in places]
    holds = [f"{path} {f'holds {content[:SHORT]} now' if content else 'is not there'}" for path, content in there]
    return "; ".join(["not in this workspace, nor in a flow's tree, nor in DVC's cache", *holds])


def _advice(artifact: Artifact, session: Session, workspace: Path) -> str:
    """How to get them, from the run that made them and DVC's configuration."""
    made = select(Run, RunOutput.path).join(RunOutput, col(RunOutput.run) == col(Run.id))
    made = made.where(RunOutput.content == artifact.content, Run.exit_code == 0).order_by(col(Run.started).desc())
    run, path = session.exec(made.limit(1)).first() or (None, None)
    origin = f"made on {run.host} at commit {str(run.git_commit)[:SHORT]}" if run else "made by no run recorded here"
    if names := list(remotes(read_config(workspace))):
        return f"{origin}; `dvc pull {path or artifact.name}` at that commit brings them, if remote {names[0]} has them"
    return f"{origin}; no DVC remote is configured, so bring that machine's {path or 'folder'} or DVC cache here"
