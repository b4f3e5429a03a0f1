"""Forms of all weights: what they share."""

from gpd.models.exchange import Weights
from gpd.release.formats.format import Format, Source, rounded
from gpd.release.student import Student


class FullFormat(Format):
    """All weights, read back to the last bit."""

    dtype = "fp32"

    def expect(self, source: Source, dtype: str) -> Weights:
        """The student's, rounded where its family allows it."""
        return {name: weight.float() for name, weight in round_weights(source.student, dtype).items()}


def round_weights(student: Student, dtype: str) -> Weights:
    """The student's weights in a type; those that its family keeps in float32 stay."""
    kept = student.exchange.keeps_float32
    return {name: rounded(name, weight, "fp32" if kept(name) else dtype) for name, weight in student.weights.items()}
