"""results.json of the ablation."""

from typing import Literal

from pydantic import Field

from gpd.documents.document import Document

DECIDES = "trajectory_error"  # which of several learning rates is the best; every row has it


class Spread(Document):
    """A metric over training seeds; `std` is null with a single one."""

    mean: float
    std: float | None = None


class AblationRow(Document):
    """A variant at one budget, in training forwards.

    Attributes:
        origin: what the grid calls it: itself, its sweep or its family.
        family: the family's label, if it is one of a family: a point of the chart over steps.
        steps: of the student that was measured.
        stages: their names; none of a row that is older than this key.
        learning_rate: of stages without one of their own.
        is_swept: one of several learning rates, of which the best is shown.
        commit: of the code that trained it, the first seven digits.
        runs: keys of its runs.
        made: those that its runs were made under, if they have been accepted for other code since.
        is_stale: made by other code, data or params than the repository's when the file was written.
    """

    variant: str
    origin: str
    group: str
    label: str
    family: str | None = None
    steps: int
    stages: list[str] = Field(default_factory=list, exclude_if=lambda stages: not stages)
    learning_rate: float
    is_swept: bool = False
    budget: int
    num_seeds: int
    sampling_forwards: int
    training_forwards: int
    protocol: str
    commit: str | None
    runs: list[str]
    made: list[str] = Field(default_factory=list, exclude_if=lambda made: not made)
    is_stale: bool = False
    metrics: dict[str, Spread]


class AblationFloor(Document):
    """The undistilled teacher in fewer steps."""

    label: str
    solver: str
    steps: int
    sampling_forwards: int
    metrics: dict[str, Spread]


class AblationResults(Document):
    """results.json."""

    format: Literal[1] = 1
    protocol: str | None
    seeds: list[int]
    rows: list[AblationRow]
    floors: list[AblationFloor]

    def best_rows(self) -> list[AblationRow]:
        """The rows; of a sweep over learning rates only the one of most seeds, or the best of these.

        A sweep has one for each budget and, if it is of a family, for each number of steps.
        """
        best: dict[tuple[str, int, int], AblationRow] = {}
        for row in self.rows:
            name = (row.origin if row.is_swept else row.variant), row.budget, row.steps
            if name not in best or _shown(row) < _shown(best[name]):
                best[name] = row
        return list(best.values())


def _shown(row: AblationRow) -> tuple[int, float]:
    """The rank among a sweep's rows: one seed has its luck, so more of them come first."""
    return -row.num_seeds, row.metrics[DECIDES].mean
