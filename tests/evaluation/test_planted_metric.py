"""One file is all that a new metric takes."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpd.data.clips import write_mp4
from gpd.evaluation import compare, metrics
from gpd.evaluation.measures import measure_batch, score
from gpd.evaluation.metric import Batch
from gpd.tiny.clips import all_scenes, draw

PLANTED = """
import numpy as np

from gpd.evaluation.formula import Ratio
from gpd.evaluation.metric import Measure, Metric


def redness(frames: np.ndarray) -> np.ndarray:
    return frames[..., 0].reshape(len(frames), -1).mean(1)


METRICS = (
    Metric(
        name="redness_ratio",
        label="Redness",
        direction="one",
        meaning="Mean of the red channel over the reference's.",
        cost="1 ms/Mpx",
        measure=Measure(redness, ("redness",)),
        formula=Ratio(),
        place=1,
        headline="red",
    ),
)
"""
FRAMES = np.stack([draw(scene, index) for index, scene in enumerate(all_scenes()[::200])])
LESS_RED = FRAMES // np.array([2, 1, 1], np.uint8)


@pytest.fixture(autouse=True)
def _planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "redness.py").write_text(PLANTED)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(folder)])
    before = dict(metrics.METRICS)
    _replace(metrics.find_metrics())
    yield
    _replace(before)
    del sys.modules[f"{metrics.__name__}.redness"], metrics.redness  # type: ignore[attr-defined]


def _replace(found: dict[str, Any]) -> None:
    metrics.METRICS.clear()
    metrics.METRICS.update(found)


def test_it_is_found_at_its_place() -> None:
    assert next(iter(metrics.METRICS)) == "redness_ratio"
    assert "psnr" in metrics.METRICS


def test_it_is_in_a_score() -> None:
    found = score(measure_batch(Batch(LESS_RED)), np.zeros(len(FRAMES)), measure_batch(Batch(FRAMES)), None)
    assert found["redness_ratio"].value == pytest.approx(0.5, abs=0.01)


def test_it_is_in_the_table_of_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, clips in (("less", LESS_RED), ("all", FRAMES)):
        for index, clip in enumerate(clips):
            write_mp4(tmp_path / name / f"{index}.mp4", clip, 16.0, crf=1)
    compare.run(tmp_path / "less", tmp_path / "all", tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text())["metrics"]["redness_ratio"]
    assert found["value"] == pytest.approx(0.5, abs=0.05)
    assert "Redness" in capsys.readouterr().out


def test_a_second_metric_of_a_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "more" / "again.py").write_text(PLANTED)
    with pytest.raises(ValueError, match="redness_ratio"):
        metrics.find_metrics()
    del sys.modules[f"{metrics.__name__}.again"], metrics.again  # type: ignore[attr-defined]
