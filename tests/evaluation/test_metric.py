import numpy as np
import pytest

from gpd.evaluation.formula import Ratio
from gpd.evaluation.metric import Batch, Measure, Metric
from gpd.evaluation.metrics import METRICS

FRAMES = np.arange(4, dtype=np.uint8).reshape(2, 2, 1, 1, 1).repeat(3, -1)  # [N, F, 1, 1, 3]: 0, 1 and 2, 3


def extremes(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = frames.reshape(len(frames), -1)
    return flat.min(1), flat.max(1)


def gap(frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return np.abs(frames.astype(float) - reference).reshape(len(frames), -1).mean(1)


EXTREMES = Measure(extremes, ("lowest", "highest"))
GAP = Measure(gap, ("gap",), ("frames", "reference_frames"))


def make_metric(**given: object) -> Metric:
    fields: dict[str, object] = {"name": "m", "label": "M", "direction": "one", "meaning": "M.", "cost": "none"}
    return Metric(**{**fields, "measure": EXTREMES, **given})  # type: ignore[arg-type]


def test_badness_by_hand() -> None:
    assert METRICS["psnr"].badness(20.0) == -20.0
    assert METRICS["motion_ratio"].badness(1.25) == METRICS["motion_ratio"].badness(0.75) == 0.25
    assert METRICS["trajectory_error"].badness(0.3) == 0.3


def test_a_measure_gives_rows_by_name() -> None:
    found = EXTREMES.of(Batch(frames=FRAMES))
    assert {name: rows.tolist() for name, rows in found.items()} == {"lowest": [0, 2], "highest": [1, 3]}
    assert GAP.of(Batch(frames=FRAMES, reference_frames=FRAMES[::-1]))["gap"].tolist() == [2, 2]


def test_a_measure_without_what_it_needs_gives_nothing() -> None:
    assert GAP.of(Batch(frames=FRAMES)) == {}


def test_a_measure_that_breaks_its_promise_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Measure(extremes, ("lowest",)).of(Batch(frames=FRAMES))


def test_a_metric_takes_its_row_and_sets_it_against_the_same_of_others() -> None:
    rows, others = EXTREMES.of(Batch(frames=FRAMES)), EXTREMES.of(Batch(frames=2 * FRAMES))
    both = np.arange(2)
    mean = make_metric().statistic(rows, None, is_paired=True)
    ratio = make_metric(row="highest", formula=Ratio()).statistic(rows, others, is_paired=True)
    assert mean is not None
    assert mean(both) == 1.0
    assert ratio is not None
    assert ratio(both) == 0.5
    assert make_metric(formula=Ratio()).statistic(rows, None, is_paired=True) is None
    assert make_metric().statistic({}, others, is_paired=True) is None


def test_needs_are_those_of_the_measure_and_real_clips() -> None:
    assert make_metric(measure=GAP).needs == {"frames", "reference_frames"}
    assert make_metric(against="clips").needs == {"frames", "clips"}
