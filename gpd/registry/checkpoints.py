"""From what a person types to a checkpoint's folder: champion, best:6, an abbreviated hash, k8."""

import re
from pathlib import Path

from sqlmodel import Session

from gpd.artifacts import UserError
from gpd.registry.best import best
from gpd.registry.finding import CHECKPOINT_KINDS, SHORT, FoundCheckpoint, find_artifact, locate


def find_checkpoint(spec: str, *, session: Session, workspace: Path = Path()) -> FoundCheckpoint:
    """The folder of a checkpoint: `champion` (an alias), `best:6` or `best:6:metric`, an abbreviated hash, or `k8`.

    Raises:
        UserError: nothing or more than one thing is meant, or its files are not in this workspace.
    """
    match = re.fullmatch(r"best:(\d{1,9})(?::(.+))?", spec)
    if not match:
        artifact = find_artifact(key=spec, session=session, workspace=workspace, kinds=CHECKPOINT_KINDS)
        return locate(artifact=artifact, session=session, workspace=workspace)
    found = best(session=session, steps=int(match[1]), metric=match[2] or "trajectory_error")
    if len(found.winners) > 1:
        names = ", ".join(winner.content[:SHORT] for winner in found.winners)
        raise UserError(f"{spec}: a tie of {names}; name one of them")
    artifact = find_artifact(key=found.winners[0].content, session=session)
    return locate(artifact=artifact, session=session, workspace=workspace)
