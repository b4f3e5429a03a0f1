"""samples.json beside a subject's trajectories: which sample each of their rows is."""

from typing import Literal

from gpd.documents.document import Document


class Sample(Document):
    """What a sample starts from: a prompt, and the seed and index that its noise is drawn from."""

    id: str
    text: str
    seed: int
    index: int


class Point(Document):
    """A noise level that is kept: its index on the base grid, and the subject's own steps until there."""

    index: int
    step: int


class Listing(Document):
    """samples.json: which sample each row of the trajectories is, and which points of its way are kept.

    Attributes:
        batch: rows in a file of trajectories; the last one may have fewer.
        samples: those that everything is measured on. The rows of `further` come after theirs.
        diversity: for each of the first prompts, the rows of its seeds.
    """

    format: Literal[1] = 1
    batch: int
    points: list[Point]
    samples: list[Sample]
    further: list[Sample]
    diversity: list[list[int]]
