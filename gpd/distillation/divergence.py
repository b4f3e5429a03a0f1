"""When a training has failed: what it learnt is not published."""

import math
from collections.abc import Sequence

from gpd.artifacts import UserError
from gpd.distillation.ledger import Ledger
from gpd.distillation.schedules import learning_rate
from gpd.distillation.stage import Stage

# A stage at worst leaves the residual where it was; the draw of the noise moves it by some percent. Ten times the
# residual of the start is no draw: it is three times the error, of a student that began as good as the one before.
WORSE_AT_MOST = 10.0
DISTANCE_OF_NOTHING = 1.0  # |v - v_true| / |v_true| of a network that returns zeros


class DivergedError(UserError, FloatingPointError):
    """The numbers went wrong; the train state stays as it was saved last."""


def check_iteration(stage: Stage, iteration: int, loss: float, gradient_norm: float) -> None:
    """Refuses an iteration (from 0) whose loss or gradient is not finite.

    Raises:
        DivergedError: one of them is not.
    """
    for name, value in {"loss": loss, "gradient's norm": gradient_norm}.items():
        if not math.isfinite(value):
            raise DivergedError(f"distill {stage.name}: the {name} is {value} at {_place(stage, iteration)}")


def check_outcome(stage: Stage, ledger: Ledger) -> None:
    """Refuses a student that is both far worse than the one that the stage began with and worse than none.

    Neither alone is enough: a residual near 0 may rise tenfold and still be small, and a student that begins with
    random weights may end a short stage above 1 and yet better.

    Raises:
        DivergedError: the residual rose more than tenfold, and the distance to the true roll-out is above 1.
    """
    assert ledger.before, "measured when the stage began"
    assert ledger.after, "measured when it ended"
    before, after = ledger.before, ledger.after
    if after.residual <= WORSE_AT_MOST * before.residual or after.rollout_distance <= DISTANCE_OF_NOTHING:
        return
    raise DivergedError(
        f"distill {stage.name}: diverged, nothing is published: residual {before.residual:.3g} -> {after.residual:.3g},"
        f" distance to the true roll-out {before.rollout_distance:.3g} -> {after.rollout_distance:.3g} (zeros have 1);"
        f" the loss peaked at {max(ledger.losses):.3g} in {_place(stage, _peak(ledger.losses))}; lower "
        f"distill.stages.{stage.name}.learning_rate"
    )


def _peak(losses: Sequence[float]) -> int:
    return max(range(len(losses)), key=losses.__getitem__)


def _place(stage: Stage, iteration: int) -> str:
    return f"iteration {iteration} (learning rate {learning_rate(iteration, stage.params, stage.distill):g})"
