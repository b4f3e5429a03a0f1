"""Figures on the pages are those of data files under git: the README's table, its times, the ablation's tables."""

import json
import re
import runpy
from pathlib import Path

import pytest

from gpd.documents import AblationResults, load_document

ROOT = Path(__file__).parents[1]
SUBJECTS = {  # in README.md -> in data/evaluations/
    "**student k8, 6 steps**": "k8",
    "**student k16, 3 steps**": "k16",
    "teacher, 6 guided steps, UniPC": "teacher-6-unipc",
    "teacher, 6 guided steps, Euler": "teacher-6",
    "teacher, 3 guided steps, Euler": "teacher-3",
}


def short(value: float) -> str:
    """Three decimals; no zero before the point."""
    return f"{value:.3f}".removeprefix("0")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def cells(text: str, label: str) -> list[str]:
    """The row of a table that begins with a label, without what only makes it bold."""
    found = [line for line in text.splitlines() if line.startswith(f"| {label} |")]
    assert len(found) == 1, f"{label!r}: {len(found)} rows"
    return [cell.strip().replace("**", "") for cell in found[0].strip("|").split("|")][1:]


@pytest.mark.parametrize(("label", "subject"), SUBJECTS.items())
def test_a_row_of_the_readme_is_the_evaluation_in_git(label: str, subject: str) -> None:
    document = json.loads(page(f"data/evaluations/{subject}/metrics.json"))
    expected = [
        str(document["forwards"]),
        short(document["trajectory_error"]),
        short(document["frechet_latent"]),
        short(document["motion_top_ratio"]),
        f"{short(document['spectral_space_ratio'])} / {short(document['spectral_time_ratio'])}",
        short(document["diversity_ratio"]),
    ]
    assert cells(page("README.md"), label) == expected


def test_the_time_in_the_readme_is_the_measured_one() -> None:
    measured = json.loads(page("docs/figures/repro.json"))
    words = " ".join(page("README.md").split())
    found = re.search(
        r"`make repro` took (\d+) min (\d+) s.*?commit (\w+)\), (\d+) min (\d+) s of them training", words
    )
    assert found
    minutes, seconds, commit, training_minutes, training_seconds = found.groups()
    assert 60 * int(minutes) + int(seconds) == measured["seconds"]
    assert 60 * int(training_minutes) + int(training_seconds) == measured["training_seconds"]
    assert commit == measured["commit"]


def test_tables_of_the_ablation_are_the_results_in_git() -> None:
    results = load_document(AblationResults, ROOT / "data/ablation/results.json", "")
    assert runpy.run_path(str(ROOT / "docs/ablation.py"))["fill"](page("docs/ablation.md"), results) == (
        page("docs/ablation.md")
    ), "python docs/ablation.py writes them"
