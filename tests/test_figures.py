"""Figures on the pages are those of data files under git: the README's table, its times, the ablation's tables."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SUBJECTS = {  # in README.md -> in data/evaluations/
    "**student k8, 6 steps**": "k8",
    "teacher, 6 guided steps, UniPC": "teacher-6-unipc",
    "teacher, 6 guided steps, Euler": "teacher-6",
    "teacher, 6 steps unguided": "teacher-6-unguided",
}
AT_15000 = {  # in docs/ablation.md -> in data/ablation/results.json
    "**one stage, two guided evaluations of Adams-Bashforth a target (the default's way)**": "recipe",
    "piecewise rectified flow, on the same second-order targets": "piecewise-flow",
    "k1 absorbs the guidance, then k8": "absorb-first",
    "k4, then k8 by a jump and a tail of half the horizon": "two-stages",
    "doubling, k1 k2 k4 k8, with Euler tails of half the horizon": "long-tail",
    "+1 as published, k1 .. k8, with our guidance, clips, optimiser and rate": "plus-one",
    "doubling, tail 1, 15 % of the states anchored to true roll-outs": "anchored",
    "doubling, tail 1": "doubling",
    "one-shot: the true guided roll-out as target": "one-shot",
    "progressive halving": "halving",
    "latent consistency distillation": "consistency",
}
OVER_TRAINING = {
    "**one stage, Adams-Bashforth**": ("recipe-curve", "recipe-full"),
    "one-shot, true roll-outs": ("one-shot-curve",),
    "+1, with our guidance, clips, optimiser and rate": ("plus-one-curve",),
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


def results(variant: str) -> dict[int, dict[str, Any]]:
    """Budget -> metrics of a variant."""
    rows = json.loads(page("data/ablation/results.json"))["rows"]
    return {row["budget"]: row["metrics"] for row in rows if row["variant"] == variant}


def spread(score: dict[str, float]) -> str:
    return f"{short(score['mean'])} ± {short(score['std'])}"


@pytest.mark.parametrize(("label", "variant"), AT_15000.items())
def test_a_row_of_the_ablation_is_the_result_in_git(label: str, variant: str) -> None:
    metrics = results(variant)[15000]
    expected = [spread(metrics["trajectory_error"]), spread(metrics["frechet_latent"])]
    assert cells(page("docs/ablation.md"), label) == expected


@pytest.mark.parametrize(("label", "variants"), OVER_TRAINING.items())
def test_more_training_is_the_result_in_git(label: str, variants: tuple[str, ...]) -> None:
    found = {
        f"{spread(metrics['trajectory_error'])}, {short(metrics['frechet_latent']['mean'])}"
        for variant in variants
        for metrics in results(variant).values()
    }
    shown = [cell for cell in cells(page("docs/ablation.md"), label) if cell]
    assert len(shown) >= 2
    assert found >= {*shown}
