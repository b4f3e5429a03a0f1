"""The page of a comparison: two sides' clips in step, their differences, figures and origins."""

import itertools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpd.data.clips import BrokenClipError, WholeClip, load_whole_clip, write_mp4
from gpd.documents import Score
from gpd.evaluation.difference import FULL_LEVELS, difference_map, scale_colours
from gpd.evaluation.metric import Metric
from gpd.evaluation.metrics import METRICS
from gpd.evaluation.sides import SHORT, Side
from gpd.pages.html import Markup, render, video_source

MOST_CARDS = 6


@dataclass(frozen=True)
class Card:
    """Clips of one prompt and noise as addresses that carry them; without a reference or a difference None."""

    title: str
    reference: str | None
    a: str
    b: str
    difference: str | None


@dataclass(frozen=True)
class FigureRow:
    """A metric of both sides as it is shown; `better` is a, b or empty."""

    label: str
    a: str
    b: str
    difference: str
    better: str


def make_page(a: Side, b: Side, reference: Mapping[str, Path], measured: Mapping[str, Any]) -> Markup:
    """The whole page as HTML.

    Args:
        reference: clips beside which the two stand, by what they show.
        measured: what `compare` found of two folders; empty for others.
    """
    shared = (title for title in a.clips if title in b.clips)
    made = (_card(title, a.clips[title], b.clips[title], reference.get(title)) for title in shared)
    cards = list(itertools.islice((card for card in made if card is not None), MOST_CARDS))
    frames, rate = _length(a.clips[cards[0].title]) if cards else (1, 1.0)
    return render(
        "gpd.evaluation",
        "compare.html",
        title=f"{a.name} beside {b.name}",
        a=a,
        b=b,
        cards=cards,
        num_frames=frames,
        frames_per_second=rate,
        ramp=scale_colours(9),
        full_levels=FULL_LEVELS,
        is_comparable=a.protocol == b.protocol,
        figures=figure_rows(a.scores, b.scores, is_comparable=a.protocol == b.protocol),
        measured={METRICS[name].label: f"{one['value']:.{METRICS[name].decimals}f}" for name, one in measured.items()},
        parts={"Params": differing(a.params, b.params), "Data": differing(a.inputs, b.inputs), "Cost": beside(a, b)},
        shared_line=shared_line(a, b),
        short=SHORT,
    )


def figure_rows(a: Mapping[str, Score], b: Mapping[str, Score], *, is_comparable: bool) -> list[FigureRow]:
    """Metrics that a side has, in the catalogue's order; which is better only under one protocol."""
    names = [name for name in METRICS if name in a or name in b]
    return [_figure_row(METRICS[name], a.get(name), b.get(name), is_comparable) for name in names]


def _figure_row(metric: Metric, a: Score | None, b: Score | None, is_comparable: bool) -> FigureRow:
    text_a, text_b = _text(metric, a), _text(metric, b)
    if a is None or b is None or not is_comparable:
        return FigureRow(metric.label, text_a, text_b, "", "")
    worse = metric.badness(round(a.value, metric.decimals)) - metric.badness(round(b.value, metric.decimals))
    better = "" if worse == 0 else "a" if worse < 0 else "b"
    difference = f"{b.value - a.value:+.{metric.decimals}f}" if better else "="
    return FigureRow(metric.label, text_a, text_b, difference, better)


def _text(metric: Metric, score: Score | None) -> str:
    if score is None:
        return "–"
    spread = "" if score.spread is None else f" ± {score.spread:.{metric.decimals}f}"
    return f"{score.value:.{metric.decimals}f}{spread}"


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose values differ, with both; a dash where a side has none."""
    keys = sorted(a.keys() | b.keys())
    return [(key, a.get(key, "–"), b.get(key, "–")) for key in keys if a.get(key) != b.get(key)]


def beside(a: Side, b: Side) -> list[tuple[str, Any, Any]]:
    """What both sides cost."""
    return [(key, a.costs.get(key, "–"), b.costs.get(key, "–")) for key in {**a.costs, **b.costs}]


def shared_line(a: Side, b: Side) -> int:
    """How many ancestors, from the base model on, the two have in common."""
    pairs = list(zip(a.ancestors, b.ancestors, strict=False))
    return next((place for place, (one, other) in enumerate(pairs) if one[1] != other[1]), len(pairs))


# --- clips


def _length(path: Path) -> tuple[int, float]:
    clip = load_whole_clip(path)
    return len(clip.frames), clip.frames_per_second


def _card(title: str, a: Path, b: Path, reference: Path | None) -> Card | None:
    """None if one of the two cannot be read, which is said."""
    both = []
    for path in (a, b):
        try:
            both.append(load_whole_clip(path))
        except BrokenClipError as error:
            print(f"not shown: {path}: {error}")
            return None
    is_alike = both[0].frames.shape == both[1].frames.shape
    return Card(
        title=title,
        reference=video_source(reference) if reference else None,
        a=_source(a, both[0]),
        b=_source(b, both[1]),
        difference=_encoded(difference_map(*(clip.frames for clip in both)), both[0]) if is_alike else None,
    )


def _source(path: Path, clip: WholeClip) -> str:
    """The file itself if browsers play it."""
    return video_source(path) if path.suffix.lower() == ".mp4" else _encoded(clip.frames, clip)


def _encoded(frames: np.ndarray, like: WholeClip) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2], like.frames_per_second)
        return video_source(path)
