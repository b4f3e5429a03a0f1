"""Reports over HTTP: they are handed out, nothing else is."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from flows.reports import VARIABLE, link_to, served


def test_a_report_has_a_link_and_its_neighbours_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = tmp_path / "flows"
    report = trees / "a-b" / "data" / "report" / "report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<p>seen</p>")
    (trees / "a-b" / "params.yaml").write_text("a: 1")
    (tmp_path / "report.html").write_text("above")
    with served(trees, 0) as base:
        monkeypatch.setenv(VARIABLE, base)
        with urllib.request.urlopen(link_to(report, trees)) as answer:
            assert answer.read() == b"<p>seen</p>"
        for path in ("a-b/params.yaml", "a-b/", "../report.html", "%2e%2e/report.html"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{base}/{path}")


def test_without_a_server_of_reports_there_is_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert link_to(tmp_path / "a" / "report.html", tmp_path) == ""
