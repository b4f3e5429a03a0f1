import math

import numpy as np
import pytest

from gpd.artifacts import UserError
from gpd.data.numbers import check_numbers, reason_against


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.0, None),
        (-1000.0, None),
        (-1001.0, "reaches 1001, above 1000"),
        (math.nan, "holds NaN"),
        (-math.inf, "holds infinity"),
    ],
)
def test_one_bad_number_is_found(dtype: type[np.floating], value: float, reason: str | None) -> None:
    array = np.ones((2, 3, 4), dtype)
    array[1, 2, 3] = value
    assert reason_against(array) == reason


def test_an_exploded_latent_is_found_and_an_embedding_may_be_large() -> None:
    array = np.array([1.0, -1e20], np.float32)
    assert reason_against(array) == "reaches 1e+20, above 1000"
    assert reason_against(array, largest=math.inf) is None
    assert reason_against(np.zeros((0, 4), np.float32)) is None


def test_what_a_model_has_made_is_refused_by_name() -> None:
    check_numbers(np.ones(3), "base: the embedding of 'a'")
    with pytest.raises(UserError, match="base: the embedding of 'a' holds NaN"):
        check_numbers(np.array([math.nan]), "base: the embedding of 'a'")
