"""What a stage prints, passed on: lines to the run's log, progress and loss to artifacts that move."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.curve import LossCurve
from flows.graph import HINT

SECONDS_BETWEEN_UPDATES = 2.0
LINES_ONE_BY_ONE = 20  # of a batch; more at once become one record, so that a flood holds nothing up

_PROGRESS = re.compile(r"^(?P<title>[^:]+): (?P<done>\d+)/(?P<total>\d+)(?: (?P<words>.*))?$")


@dataclass(frozen=True)
class Progress:
    """A line `title: done/total words` of a stage."""

    title: str
    done: int
    total: int
    words: str

    @property
    def percent(self) -> float:
        """How much is done, of 100."""
        return 100.0 * min(self.done, self.total) / self.total if self.total else 100.0

    @property
    def is_last(self) -> bool:
        """Whether all is done."""
        return self.done >= self.total


def parse_progress(line: str) -> Progress | None:
    """The progress in a line, if there is any."""
    found = _PROGRESS.match(line)
    if found is None:
        return None
    return Progress(found["title"], int(found["done"]), int(found["total"]), found["words"] or "")


@dataclass
class Listener:
    """Hands a stage's lines to the run's log, and its progress to artifacts that move."""

    stage: str
    logger: Any
    artifact: UUID | None = None
    updated: float = field(default=-SECONDS_BETWEEN_UPDATES)
    curve: LossCurve = field(init=False)

    def __post_init__(self) -> None:
        self.curve = LossCurve(f"loss-{slug(self.stage)}")

    def __call__(self, lines: list[str]) -> None:
        """Takes the new lines."""
        said = [line for line in lines if not HINT.match(line)]
        for record in said if len(said) <= LINES_ONE_BY_ONE else ["\n".join(said)]:
            self.logger.info(record)
        for progress in filter(None, map(parse_progress, lines)):
            self.take(progress)

    def take(self, progress: Progress) -> None:
        """Shows it, unless another was shown a moment ago."""
        self._try(lambda: self.curve.add(progress.done, progress.words, progress.is_last))
        if progress.is_last or time.monotonic() - self.updated > SECONDS_BETWEEN_UPDATES:
            self.show(progress.percent, f"{progress.title}: {progress.done}/{progress.total} {progress.words}")

    def show(self, percent: float, description: str) -> None:
        """Moves the artifact of the progress."""
        self.updated = time.monotonic()
        self._try(lambda: self._move(percent, description))

    def _move(self, percent: float, description: str) -> None:
        if self.artifact is None:
            key = f"progress-{slug(self.stage)}"
            made: Any = create_progress_artifact(progress=percent, key=key, description=description)
            self.artifact = made
        else:
            update_progress_artifact(self.artifact, progress=percent, description=description)

    def _try(self, show: Callable[[], None]) -> None:
        """A server that does not answer stops no training: an artifact is a view of the work, not the work."""
        try:
            show()
        except Exception as error:  # noqa: BLE001  # whatever it was, it is reported
            self.logger.warning(f"progress is not shown: {error}")


def slug(name: str) -> str:
    """A name as an artifact's key may be: lower case letters, digits, dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
