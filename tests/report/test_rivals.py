from pathlib import Path
from typing import Any

import pytest

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.report.rivals import RESULTS, load_rivals


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def row(variant: str = "one-shot", **changes: Any) -> dict[str, Any]:
    metrics = {"trajectory_error": {"mean": 0.25, "std": 0.01}, "frechet_latent": {"mean": 0.1, "std": None}}
    counts = {"budget": 70_000, "num_seeds": 3, "sampling_forwards": 6, "training_forwards": 70_000}
    names = {"variant": variant, "origin": variant, "group": "rivals", "label": "One shot", "protocol": "p"}
    made = {"steps": 6, "learning_rate": 1e-3, "commit": None, "runs": []}
    return {**names, **counts, **made, "metrics": metrics, **changes}


def save(*rows: dict[str, Any], protocol: str | None = "p", number: int = 1) -> None:
    results = {"format": number, "protocol": protocol, "seeds": [0], "rows": list(rows), "floors": []}
    artifacts.write_json(RESULTS, results)


def test_rivals_alone_are_read() -> None:
    save(row(), row("rate", group="optimiser"))
    (found,) = load_rivals("p")
    assert (found.variant, found.training_forwards) == ("one-shot", 70_000)
    assert (found.metrics["trajectory_error"].mean, found.metrics["frechet_latent"].std) == (0.25, None)


def test_nothing_of_another_protocol_nor_where_there_is_no_file() -> None:
    assert load_rivals("p") == []
    save(row())
    assert load_rivals("q") == []
    save(protocol=None)
    assert load_rivals("p") == []


def test_what_is_wrong_is_named() -> None:
    save(row(), row(num_seeds="many"))
    with pytest.raises(UserError, match=r"data/ablation/results.json: rows.1.num_seeds='many': .*integer"):
        load_rivals("p")
    artifacts.write_text(RESULTS, '{"format": 1')
    with pytest.raises(UserError, match=r"data/ablation/results.json: not readable as JSON .*gpd ablate"):
        load_rivals("p")


def test_the_file_in_the_repository_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert isinstance(load_rivals("p"), list)
