""".work/runs/ID.json: one execution, with all that a manifest leaves out."""

import contextlib
import os
import platform
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from gpd.artifacts import WORK, UserError, confirm, forget_checks, hash_json, write_json
from gpd.documents.document import FORMAT, Document
from gpd.documents.manifests import Manifest


class Git(Document):
    """Commit of the work tree and whether tracked files differ from it; nulls outside a repository."""

    commit: str | None = None
    is_dirty: bool | None = None


class Output(Document):
    """A folder that a run wrote."""

    path: str
    kind: str
    content: str


class RunRecord(Document):
    """One execution. Not frozen: a stage fills in what it learns.

    Attributes:
        forwards: network evaluations by role.
        device_seconds: wall time multiplied by the number of devices.
        flow_run_id: Prefect's, from `GPD_FLOW_RUN_ID`.
    """

    model_config = ConfigDict(frozen=False)

    format: int = FORMAT
    id: str
    stage: str
    command: list[str]
    params_hash: str
    git: Git
    host: str
    device: str = "cpu"
    flow_run_id: str | None
    started: str
    outputs: list[Output] = Field(default_factory=list)
    forwards: dict[str, int] = Field(default_factory=dict)
    device_seconds: float | None = None
    exit_code: int = 0
    error: str | None = None
    ended: str | None = None

    def wrote(self, path: Path | str, manifest: Manifest[Any]) -> None:
        """Names an output."""
        self.outputs.append(Output(path=str(path), kind=manifest.kind, content=manifest.content))


def git_state(but: Path | None = None) -> Git:
    """Of the working directory, the root of a repository.

    Args:
        but: a folder whose edits do not count.
    """
    places = [".", *([f":(exclude){but}"] if but else [])]

    def git(*words: str) -> str | None:
        done = subprocess.run(["git", *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    with contextlib.suppress(FileNotFoundError):
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no", "--", *places)
        return Git(commit=commit, is_dirty=None if changes is None else bool(changes))
    return Git()


def exit_code_of(error: BaseException) -> int:
    """The status that a command ends with for it."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return error.status if isinstance(error, UserError) else 130 if isinstance(error, KeyboardInterrupt) else 1


@contextlib.contextmanager
def recording_run(stage: str, params: dict[str, Any]) -> Iterator[RunRecord]:
    """Keeps one execution in .work/runs/, also when it fails; the block fills in what it learns."""
    started = time.time()
    record = RunRecord(
        id=uuid.uuid4().hex,
        stage=stage,
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
        params_hash=hash_json(params),
        git=git_state(),
        host=platform.node(),
        flow_run_id=os.environ.get("GPD_FLOW_RUN_ID"),
        started=datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds"),
    )
    try:
        yield record
        confirm()
    except BaseException as error:
        forget_checks()
        record.exit_code = exit_code_of(error)
        record.error = f"{type(error).__name__}: {error}".split("\n")[0]
        raise
    finally:
        record.ended = datetime.now(UTC).isoformat(timespec="milliseconds")
        with contextlib.suppress(OSError):  # a full disk must not hide the error that filled it
            write_json(WORK / "runs" / f"{record.id}.json", record.model_dump(mode="json"))
