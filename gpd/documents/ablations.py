"""results.json of the ablation."""

from typing import Literal

from gpd.documents.document import Document


class Spread(Document):
    """A metric over training seeds; `std` is null with a single one."""

    mean: float
    std: float | None = None


class AblationRow(Document):
    """A variant at one budget, in training forwards."""

    variant: str
    group: str
    label: str
    budget: int
    num_seeds: int
    sampling_forwards: int
    training_forwards: int
    protocol: str
    metrics: dict[str, Spread]


class AblationFloor(Document):
    """The undistilled teacher in fewer steps."""

    label: str
    sampling_forwards: int
    metrics: dict[str, Spread]


class AblationResults(Document):
    """results.json."""

    format: Literal[1] = 1
    protocol: str | None
    seeds: list[int]
    rows: list[AblationRow]
    floors: list[AblationFloor]
