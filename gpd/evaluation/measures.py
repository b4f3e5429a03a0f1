"""Measures of single samples, in batches, and the scores of a subject from them.

Clips are large and measures small: a batch is measured, its frames are let go, and only rows [N, ...] remain.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from gpd.evaluation import metrics
from gpd.evaluation.metric import Batch, Measure, Rows
from gpd.evaluation.score import Score, over_seeds


def list_measures() -> list[Measure]:
    """What all metrics are made from, each once."""
    return list(dict.fromkeys(metric.measure for metric in metrics.METRICS.values()))


def measures_for(captions: list[str]) -> list[Measure]:
    """Those that can judge samples of these prompts: to be chosen once for all of a subject's batches."""
    return [measure for measure in list_measures() if measure.applies(captions)]


def measure_batch(batch: Batch, measures: Iterable[Measure] | None = None) -> Rows:
    """All that can be said of a batch, with what it has; `measures`: by these alone."""
    rows: Rows = {}
    for measure in list_measures() if measures is None else measures:
        rows |= measure.of(batch)
    return rows


def measure_clips(frames: np.ndarray, latents: np.ndarray) -> Rows:
    """What subjects are set against of real clips: frames uint8 [N, F, H, W, 3] and latents [N, C, f, h, w]."""
    wanted = [metric.measure for metric in metrics.METRICS.values() if metric.against == "clips"]
    return measure_batch(Batch(frames=frames, latents=latents), dict.fromkeys(wanted))


def join(batches: list[Rows]) -> Rows:
    """The rows of several batches under each other."""
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def score(measures: Rows, seeds: np.ndarray, reference: Rows | None, clips: Rows | None) -> dict[str, Score]:
    """Scores of a subject by the names of the metrics; what cannot be computed is absent.

    Args:
        measures: of the subject, N rows; with the paired ones unless the subject is the reference itself.
        seeds: noise seed of each row, [N].
        reference: measures of the reference, the same N prompts and seeds; None for the reference itself.
        clips: features of real clips, any number of rows; None if there are none.
    """
    return _scores(measures, seeds, reference, clips, is_paired=True)


def score_unpaired(measures: Rows, reference: Rows, clips: Rows | None = None) -> dict[str, Score]:
    """Scores of clips against other clips, any number of each: what needs no pairs."""
    number = len(next(iter(measures.values())))
    return _scores(measures, np.zeros(number), reference, clips, is_paired=False)


def score_several(measures: Rows, reference: Rows, num_samples: int) -> dict[str, Score]:
    """Scores of what several seeds of a prompt have together, without spread.

    Args:
        measures: of the subject, a row for each prompt.
        reference: of the reference, any number of prompts: the means over prompts are compared.
        num_samples: of the subject, all seeds counted.
    """
    own, theirs = ({name: rows.mean(keepdims=True) for name, rows in side.items()} for side in (measures, reference))
    scores = _scores(own, np.zeros(1), theirs, None, is_paired=True)
    return {name: replace(found, num_samples=num_samples) for name, found in scores.items()}


def _scores(
    measures: Rows, seeds: np.ndarray, reference: Rows | None, clips: Rows | None, is_paired: bool
) -> dict[str, Score]:
    scores = {}
    for name, metric in metrics.METRICS.items():
        is_to_clips = metric.against == "clips"
        others = clips if is_to_clips else reference
        statistic = metric.statistic(measures, others, is_paired and not is_to_clips)
        found = None if statistic is None else over_seeds(statistic, seeds)
        if found is not None:
            scores[name] = found
    return scores
