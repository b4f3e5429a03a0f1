"""`gpd compare A B`: any two folders of clips, measured as they lie there.

Clips are paired by file name if both folders have the same names; else only what needs no pairs is measured. Every
clip is looked at first; those that cannot be measured are named and left out, unless they are too many. One clip is
in memory at a time, or all seeds of one prompt.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.data.clips import WholeClip
from gpd.evaluation.checking import MAX_BROKEN_SHARE, check, load_clip
from gpd.evaluation.folders import Pairing, group_seeds, pair_up
from gpd.evaluation.measures import (
    join,
    list_measures,
    measure_batch,
    score,
    score_several,
    score_unpaired,
)
from gpd.evaluation.metric import Batch, Metric, Rows
from gpd.evaluation.metrics import METRICS
from gpd.evaluation.score import Score
from gpd.progress import Advance, progress_bar

MAX_NAMES = 5  # that stand in one folder alone, in a line
ELSEWHERE = {"captions", "clips"}  # what no two folders have: metrics that need it answer another question
REASONS = {  # what may be missing of a metric's needs
    "latents": "needs latents, which an mp4 does not hold",
    "reference_latents": "needs latents, which an mp4 does not hold",
    "reference_frames": "needs pairs: the same file names in both folders",
    "several": "needs 2 seeds of a prompt on each side, called NAME-0.mp4, NAME-1.mp4, that differ in the reference",
}


@dataclass(frozen=True)
class Folder:
    """All that is kept of a folder's clips.

    Attributes:
        rows: of each clip.
        several: of each prompt that has several seeds; empty if none has.
    """

    rows: Rows
    several: Rows

    @property
    def num_clips(self) -> int:
        """Clips in the folder."""
        return len(next(iter(self.rows.values())))


def run(clips: Path, reference: Path, out: Path, max_broken_share: float = MAX_BROKEN_SHARE) -> dict[str, Any]:
    """Prints the table, writes `out` and returns what stands in it.

    Args:
        max_broken_share: more clips than this that are broken, or differ in length, size or rate from what they are
            set against, are refused.

    Raises:
        UserError: a folder is empty, or too many clips cannot be measured.
    """
    if out.suffix != ".json":
        raise UserError(f"--out={out}: the file must end in .json")
    pairing = pair_up(clips, reference)
    report: dict[str, Any] = {"format": 1, "clips": str(clips), "reference": str(reference)}
    report |= compare(pairing, max_broken_share)
    print_table(report)
    artifacts.write_json(out, report)
    print(f"-> {out}")
    return report


def run_beside(first: str, second: str, out: Path, max_broken_share: float = MAX_BROKEN_SHARE) -> Path:
    """Writes one page of both, beside `out`; two folders of clips are measured too. Returns the page.

    Raises:
        UserError: a side is no folder of clips, no evaluated subject and nothing that the registry has; or as `run`.
    """
    from gpd.evaluation.beside import make_page
    from gpd.evaluation.sides import find_side, reference_clips

    sides = find_side(first), find_side(second)
    measured: dict[str, Any] = {}
    if not any(side.protocol or side.ancestors for side in sides):
        measured = run(Path(first), Path(second), out, max_broken_share)["metrics"]
    page = out.with_suffix(".html")
    artifacts.write_text(page, make_page(*sides, reference_clips(), measured))
    print(f"-> {page}")
    return page


def compare(pairing: Pairing, max_broken_share: float = MAX_BROKEN_SHARE) -> dict[str, Any]:
    """Metrics of the first folder's clips against the second's, and why the others are absent.

    Raises:
        UserError: too many clips cannot be measured.
    """
    checked = check(pairing, max_broken_share)
    folder, others = _measure_both(checked.pairing)
    scores = _score(folder, others, pairing.is_paired)
    shown = {name: metric for name, metric in METRICS.items() if not metric.needs & ELSEWHERE}
    return {
        "is_paired": pairing.is_paired,
        "num_clips": folder.num_clips,
        "num_reference_clips": others.num_clips,
        "num_shared_names": pairing.num_shared,
        "only_clips": pairing.only_clips,
        "only_reference": pairing.only_reference,
        "broken_clips": [clip.model_dump() for clip in checked.broken],
        "metrics": {
            name: {**asdict(scores[name]), "direction": metric.direction, "cost": metric.cost}
            for name, metric in shown.items()
            if name in scores
        },
        "absent": {name: why_absent(metric, folder, others) for name, metric in shown.items() if name not in scores},
    }


def _measure_both(pairing: Pairing) -> tuple[Folder, Folder]:
    partners = dict(zip(pairing.clips, pairing.reference, strict=True)) if pairing.is_paired else {}
    num_clips = len(pairing.clips)
    with progress_bar("compare", num_clips + len(pairing.reference)) as advance:
        folder = _measure(pairing.clips, partners, advance)
        others = _measure(pairing.reference, {}, lambda done, words: advance(num_clips + done, words))
    return folder, others


def _score(folder: Folder, others: Folder, is_paired: bool) -> dict[str, Score]:
    if is_paired:
        scores = score(folder.rows, np.zeros(folder.num_clips), others.rows, None)
    else:
        scores = score_unpaired(folder.rows, others.rows)
    return scores | score_several(folder.several, others.several, folder.num_clips)


def why_absent(metric: Metric, folder: Folder, others: Folder) -> str:
    """What a metric needs that the folders do not have."""
    missing = [REASONS[need] for need in metric.measure.needs if need in REASONS]
    if missing:
        return missing[0]
    rows, other_rows = metric.rows(folder.rows), metric.rows(others.rows)
    assert rows is not None, metric.name
    assert other_rows is not None, metric.name  # frames alone are measured on both sides
    return metric.formula.shortfall(rows, other_rows)


def _measure(paths: list[Path], partners: dict[Path, Path], advance: Advance) -> Folder:
    """Measures a folder.

    Args:
        partners: the other folder's clip by the clip that is set beside it; empty without pairs.
    """
    rows: dict[Path, Rows] = {}
    several = []
    for group in group_seeds(paths):
        clips = [load_clip(path) for path in group]
        for path, clip in zip(group, clips, strict=True):
            rows[path] = _measure_clip(clip, partners.get(path))
            advance(len(rows), "clips")
        if len(clips) > 1:
            several.append(_measure_prompt([clip.frames for clip in clips]))
    return Folder(join([rows[path] for path in paths]), join(several) if several else {})


def _measure_clip(clip: WholeClip, partner: Path | None) -> Rows:
    if partner is None:
        return measure_batch(Batch(frames=clip.frames[None]))
    return measure_batch(Batch(frames=clip.frames[None], reference_frames=load_clip(partner).frames[None]))


def _measure_prompt(clips: list[np.ndarray]) -> Rows:
    """One row of what several seeds of a prompt have together."""
    found = [(measure.names[0], measure.of_clips) for measure in list_measures()]
    return {name: np.array([of_clips(clips)]) for name, of_clips in found if of_clips is not None}


def print_table(report: dict[str, Any]) -> None:
    """The figures with what they cost, and what is absent and why."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    way = {"lower": "lower is better", "higher": "higher is better", "one": "1 is alike"}
    grid = Table(title=f"{report['clips']} against {report['reference']}", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "figure", "", "cost"):
        grid.add_column(column, justify="right" if column == "figure" else "left", no_wrap=True)
    for name, found in report["metrics"].items():
        metric = METRICS[name]
        grid.add_row(metric.label, f"{found['value']:.{metric.decimals}f}", way[metric.direction], metric.cost)
    Console(width=max(110, Console().width)).print(grid)
    pairs = "paired by name" if report["is_paired"] else f"not paired, {report['num_shared_names']} names in common"
    print(f"{report['num_clips']} and {report['num_reference_clips']} clips, {pairs}")
    for side in ("clips", "reference"):
        if names := report[f"only_{side}"]:
            print(f"only in {report[side]}: {shorten(names)}")
    for broken in report["broken_clips"]:
        print(f"left out: {broken['file']}: {broken['reason']}")
    for name, reason in report["absent"].items():
        print(f"no {METRICS[name].label}: {reason}")


def shorten(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
