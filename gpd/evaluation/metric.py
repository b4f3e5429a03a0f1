"""What a metric is: what it measures of single samples, its formula over them, and how it is shown.

    METRICS = (
        Metric(
            name="sharpness_ratio",
            label="Sharpness",
            direction="one",
            meaning="Mean slope of the picture over the reference's; below 1 is blur.",
            cost="2 ms/Mpx",
            measure=Measure(sharpness, ("sharpness",)),
            formula=Ratio(),
        ),
    )

in a module of `gpd/evaluation/metrics/` is all that a new one takes: tables, charts, `gpd compare` and the evaluations
find it there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gpd.documents import Direction
from gpd.evaluation.formula import Formula, Mean
from gpd.evaluation.score import Statistic

Rows = dict[str, np.ndarray]  # name -> [N] or [N, D], one row a sample


@dataclass(frozen=True)
class Batch:
    """N samples to measure, with as much of them as there is.

    Attributes:
        frames: uint8 [N, F, H, W, 3], F >= 2, sides of at least 16 px.
        latents: [N, C, f, h, w].
        captions: N prompts.
        reference_frames, reference_latents: of the reference on the same prompts and noise.
        several: latents of N prompts with S >= 2 seeds each, [N, S, ...].
    """

    frames: np.ndarray | None = None
    latents: np.ndarray | None = None
    captions: list[str] | None = None
    reference_frames: np.ndarray | None = None
    reference_latents: np.ndarray | None = None
    several: np.ndarray | None = None


def _any_captions(captions: list[str]) -> bool:
    return True


@dataclass(frozen=True)
class Measure:
    """What is taken of each sample, once a batch however many metrics are made from it.

    Attributes:
        function: takes the fields of a `Batch` that `needs` names, returns rows [N] or [N, D]; with several names, a
            tuple of as many.
        names: the rows' names; no two measures may use the same.
        needs: what kind of measure it is: of frames alone, of latents, with captions, beside the reference.
        applies: returns whether all of these captions can be judged; if one cannot, the measure is left out.
        of_clips: the same of one prompt's clips [F, H, W, 3], a seed each; only for a measure of `several` latents,
            which folders of clips do not have.
    """

    function: Callable[..., np.ndarray | tuple[np.ndarray, ...]]
    names: tuple[str, ...]
    needs: tuple[str, ...] = ("frames",)
    applies: Callable[[list[str]], bool] = _any_captions
    of_clips: Callable[[list[np.ndarray]], float] | None = None

    def of(self, batch: Batch) -> Rows:
        """Rows of a batch by name; none if the batch lacks something."""
        given = [getattr(batch, need) for need in self.needs]
        if any(field is None for field in given):
            return {}
        found = self.function(*given)
        return dict(zip(self.names, found if isinstance(found, tuple) else (found,), strict=True))


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric.

    Attributes:
        direction: "one" means: the nearer to 1, the better.
        meaning: one sentence for a person.
        cost: what it takes besides the sampling: milliseconds of one CPU core for a million pixels (a clip of 17 frames
            of 64 x 64 px has .07, one of 81 frames of 480 x 832 px has 32), and what else it needs.
        measure: what is taken of each sample.
        row: which of the measure's rows; its first if left out.
        against: what the formula compares with: the reference, or real clips.
        place: where it stands in tables, smallest first.
        headline: the word for it in summaries and narrow tables; None: it stands in full tables only.
        column: its head in the ablation's tables, a run a line; None: it has no column there.
        axis: on which charts draw it over cost; None: they do not.
    """

    name: str
    label: str
    direction: Direction
    meaning: str
    cost: str
    measure: Measure
    row: str | None = None
    formula: Formula = field(default_factory=Mean)
    against: Literal["reference", "clips"] = "reference"
    decimals: int = 3
    place: int = 90
    headline: str | None = None
    column: str | None = None
    axis: Literal["linear", "log"] | None = None

    @property
    def needs(self) -> frozenset[str]:
        """Fields of a `Batch`, and "clips" if it is set against real ones."""
        return frozenset(self.measure.needs) | ({"clips"} if self.against == "clips" else set())

    def badness(self, value: float) -> float:
        """Smaller is better, whatever the direction."""
        return {"lower": value, "higher": -value, "one": abs(value - 1.0)}[self.direction]

    def rows(self, rows: Rows | None) -> np.ndarray | None:
        """The metric's own among all rows of a side."""
        return None if rows is None else rows.get(self.row or self.measure.names[0])

    def statistic(self, rows: Rows, others: Rows | None, is_paired: bool) -> Statistic | None:
        """Its figure as a function of which rows to look at; None if rows or what it is set against are missing."""
        own = self.rows(rows)
        return None if own is None else self.formula.statistic(own, self.rows(others), is_paired)
