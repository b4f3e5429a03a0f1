"""Floors stand beside the figures of their protocol, and of no other."""

import pytest

from gpd.documents import Floors, Score, write_document
from gpd.evaluation.protocol import FLOORS
from gpd.params import Params
from gpd.report import report
from gpd.report.charts import make_cost_charts
from gpd.report.outcome import load_outcome
from gpd.report.tables import make_scores


def write_floors(protocol: str) -> None:
    def scores(error: float) -> dict[str, Score]:
        return {"trajectory_error": Score(value=error, num_samples=6, spread=None, direction="lower")}

    floors = {"itself": scores(0.0), "other noise": scores(0.625), "real clips": {}}
    write_document(FLOORS, Floors(protocol=protocol, other_seeds=[3, 4], num_clips=0, scores=floors))


def test_they_stand_in_tables_and_charts_and_never_win(workspace: Params, capsys: pytest.CaptureFixture[str]) -> None:
    plain = make_cost_charts(load_outcome(workspace))
    write_floors(load_outcome(workspace).protocol.hash)
    outcome = load_outcome(workspace)
    assert list(outcome.floors) == ["itself", "other noise", "real clips"]
    cells = make_scores(outcome, [*outcome.subjects, *outcome.floors])["trajectory_error"]
    assert [cell.figure for cell in cells[-3:]] == ["0.000", "0.625", "–"]
    assert not any(cell.is_best for cell in cells[-3:])
    assert any(cell.is_best for cell in cells)
    assert make_cost_charts(outcome)[0] != plain[0]  # a dashed line
    report.run(workspace)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines if "floor: other" in line] == [["floor:", "other", "noise", "0.625"]]
    report.show(workspace, has_all=True)
    assert "other noise" in capsys.readouterr().out


def test_those_of_another_protocol_say_nothing(workspace: Params) -> None:
    write_floors("another")
    assert load_outcome(workspace).floors == {}
