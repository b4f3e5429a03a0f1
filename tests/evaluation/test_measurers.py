"""Figures do not depend on where they are computed."""

import numpy as np

from gpd.evaluation.measurers import PIXELS_OF_A_PROCESS, Measurers
from gpd.evaluation.measures import measures_for
from gpd.evaluation.metric import Batch

NUM_BATCHES = 6


def batches() -> list[tuple[Batch, Batch]]:
    rng = np.random.default_rng(0)
    made = [
        Batch(rng.integers(0, 256, (2, 5, 32, 32, 3), dtype=np.uint8), rng.normal(size=(2, 4, 2, 4, 4)), ["a", "b"])
        for _ in range(2 * NUM_BATCHES)
    ]
    return list(zip(made[::2], made[1::2], strict=True))


def measured(pixels: int) -> tuple[int, list[dict[str, np.ndarray]]]:
    with Measurers(measures_for(["a", "b"]), pixels) as measurers:
        for mine, theirs in batches():
            measurers.add(mine, theirs)
        return measurers.number, measurers.results()


def test_many_pixels_are_measured_beside_this_process_and_few_in_it_with_the_same_figures() -> None:
    (none, here), (some, beside) = measured(PIXELS_OF_A_PROCESS - 1), measured(PIXELS_OF_A_PROCESS)
    assert (none, some) == (0, 1)
    for own, other in zip(here, beside, strict=True):
        assert own.keys() == other.keys()
        assert all(np.array_equal(own[name], other[name]) and len(own[name]) == 2 * NUM_BATCHES for name in own)


def test_a_mistake_in_a_process_reaches_the_caller() -> None:
    with np.testing.assert_raises(ValueError), Measurers(measures_for(["a"]), PIXELS_OF_A_PROCESS) as measurers:
        measurers.add(Batch(np.zeros((1, 1, 1, 1, 1), np.uint8), np.zeros((1, 1))))
        measurers.results()
