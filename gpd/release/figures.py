"""Measurements of a student beside those of its undistilled base model, a table for each protocol."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gpd.registry.best import Measured


@dataclass(frozen=True)
class Figures:
    """Under one protocol.

    Attributes:
        protocol: all that must be equal for two scores to be comparable, with its hash.
        columns: subjects, the student first; each sampled in one way.
        rows: for each metric its direction and the subjects' scores, None if one has none.
    """

    protocol: Mapping[str, Any]
    columns: list[Measured]
    rows: dict[str, tuple[str, list[Measured | None]]]

    @property
    def num_samples(self) -> int:
        """Prompts times seeds."""
        return int(self.protocol["num_prompts"]) * len(self.protocol["seeds"])


DECIDES = "trajectory_error"  # a promotion, unless another metric is named: it stands first


def tabulate(
    student: Iterable[Measured], base: Iterable[Measured], protocols: Mapping[str, Mapping[str, Any]]
) -> list[Figures]:
    """The student's scores with the baselines': the base model in fewer steps, not the reference itself."""
    own, baselines = list(student), list(base)
    tables = []
    for name in dict.fromkeys(score.protocol for score in own):
        others = [score for score in baselines if not _is_reference(score, protocols[name])]
        tables.append(_figures(protocols[name], [score for score in own + others if score.protocol == name]))
    return tables


def _is_reference(score: Measured, protocol: Mapping[str, Any]) -> bool:
    reference = (protocol["grid_steps"], protocol["reference_guidance_scale"])
    return (score.steps, score.guidance_scale) == reference


def _figures(protocol: Mapping[str, Any], scores: list[Measured]) -> Figures:
    columns = {(score.subject, score.setting): score for score in scores}
    found = {(score.metric, score.subject, score.setting): score for score in scores}
    first = next(iter(columns))
    metrics = {score.metric: score.direction for score in scores if (score.subject, score.setting) == first}
    rows = {
        metric: (metrics[metric], [found.get((metric, *column)) for column in columns])
        for metric in sorted(metrics, key=lambda metric: metric != DECIDES)
    }
    return Figures(protocol, list(columns.values()), rows)
