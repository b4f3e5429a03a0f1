"""What a stage has done and spent so far; it is kept in the train state and ends in the student's manifest."""

from collections.abc import Mapping

from pydantic import ConfigDict, Field

from gpd.documents import Document, Probed

NUM_CURVE_POINTS = 100  # rows of a stage's training curve


class Ledger(Document):
    """Not frozen: the trainer writes it.

    Attributes:
        forwards: network evaluations by role, of this process until the stage ends, of all processes then.
        samples_seen: of all processes.
        losses: of every iteration done, the mean over processes.
        curve: some iterations' loss and its parts, learning rate and guidance scale. An iteration stays an integer when
            it is read back, else a resumed stage's training.csv would say 1.0.
        before, after: the student of the start and of the end on fixed states.
    """

    model_config = ConfigDict(frozen=False)

    forwards: dict[str, int] = Field(default_factory=lambda: {"teacher": 0, "previous": 0, "student": 0, "probe": 0})
    samples_seen: int = 0
    losses: list[float] = Field(default_factory=list)
    curve: list[dict[str, int | float]] = Field(default_factory=list)
    before: Probed | None = None
    after: Probed | None = None

    def spend(self, forwards: Mapping[str, int]) -> None:
        """Adds evaluations by role."""
        for role, number in forwards.items():
            self.forwards[role] += number

    def note(self, iteration: int, iterations: int, **figures: float) -> None:
        """A row of the curve, of the first iteration and of each hundredth part of all; `iteration` counts from 1."""
        if iteration == 1 or iteration % max(1, iterations // NUM_CURVE_POINTS) == 0:
            self.curve.append({"iteration": iteration, **figures})
