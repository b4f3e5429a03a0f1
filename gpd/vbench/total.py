"""VBench's total from the scores of its 16 dimensions.

Ranges and weights: `scripts/constant.py` of github.com/Vchitect/VBench. There a missing dimension counts as 0; here it
is an error.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gpd.artifacts import UserError

QUALITY = {  # dimension -> its lowest and highest value for the normalisation
    "subject_consistency": (0.1462, 1.0),
    "background_consistency": (0.2615, 1.0),
    "temporal_flickering": (0.6293, 1.0),
    "motion_smoothness": (0.706, 0.9975),
    "aesthetic_quality": (0.0, 1.0),
    "imaging_quality": (0.0, 1.0),
    "dynamic_degree": (0.0, 1.0),
}
SEMANTIC = {
    "object_class": (0.0, 1.0),
    "multiple_objects": (0.0, 1.0),
    "human_action": (0.0, 1.0),
    "color": (0.0, 1.0),
    "spatial_relationship": (0.0, 1.0),
    "scene": (0.0, 0.8222),
    "appearance_style": (0.0009, 0.2855),
    "temporal_style": (0.0, 0.364),
    "overall_consistency": (0.0, 0.364),
}
DIMENSIONS = (*QUALITY, *SEMANTIC)
WEIGHTS = {name: 0.5 if name == "dynamic_degree" else 1.0 for name in DIMENSIONS}
QUALITY_WEIGHT, SEMANTIC_WEIGHT = 4.0, 1.0


@dataclass(frozen=True)
class Total:
    """VBench's figures, 0..1 as VBench's scripts print them (papers multiply by 100).

    Attributes:
        dynamic_degree: as measured. The total rewards stillness, so it is never shown without this.
    """

    quality: float
    semantic: float
    total: float
    dynamic_degree: float

    def __str__(self) -> str:
        return (
            f"total {100 * self.total:.2f} (quality {100 * self.quality:.2f}, semantic {100 * self.semantic:.2f}), "
            f"dynamic degree {100 * self.dynamic_degree:.2f}"
        )


def missing_dimensions(scores: dict[str, float]) -> list[str]:
    """The dimensions that a total needs and `scores` lacks."""
    return [name for name in DIMENSIONS if name not in scores]


def compute_total(scores: dict[str, float]) -> Total:
    """The total of all 16 dimensions' scores as VBench measures them.

    Raises:
        UserError: a dimension is missing (named), or there is one that VBench has not.
    """
    if missing := missing_dimensions(scores):
        raise UserError(f"VBench's total needs all {len(DIMENSIONS)} dimensions; missing: {', '.join(missing)}")
    if unknown := sorted(set(scores) - set(DIMENSIONS)):
        raise UserError(f"VBench has no dimension {unknown[0]!r}")
    quality, semantic = _weighted_mean(scores, QUALITY), _weighted_mean(scores, SEMANTIC)
    total = (QUALITY_WEIGHT * quality + SEMANTIC_WEIGHT * semantic) / (QUALITY_WEIGHT + SEMANTIC_WEIGHT)
    return Total(quality, semantic, total, scores["dynamic_degree"])


def normalise(dimension: str, score: float) -> float:
    """A dimension's score on the scale of the total; 1 is its best."""
    low, high = (QUALITY | SEMANTIC)[dimension]
    return (score - low) / (high - low)


def _weighted_mean(scores: dict[str, float], names: Iterable[str]) -> float:
    parts = [WEIGHTS[name] * normalise(name, scores[name]) for name in names]
    return sum(parts) / sum(WEIGHTS[name] for name in names)
