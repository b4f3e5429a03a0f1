"""`gpd bench registry` fills a registry of the size that it names and asks it its questions."""

import pytest

from gpd.registry import bench


def test_the_questions_have_answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "REPEATS", 1)
    bench.run(2 * bench.CHAIN + 3)
    shown = capsys.readouterr().out
    assert "103 checkpoints, 1,030 scores" in shown
    assert "best, where two params hold" in shown
