"""Rows as `documents` makes them, without the files."""

import math

from gpd.artifacts import hash_json
from gpd.registry import tables as t
from gpd.registry.columns import Record
from gpd.registry.documents import evaluation_id
from gpd.registry.recorded import Rows


def evaluation_rows(number: int, value: float, direction: str) -> Rows:
    """A checkpoint measured by the one metric `m` at 6 steps."""
    checkpoint, protocol = hash_json(["checkpoint", number]), hash_json({})
    fields = t.checked(t.Protocol, hash=protocol, num_prompts=1, seeds=[0], fields={})
    is_finite = math.isfinite(value)
    not_finite = None if is_finite else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    found = {"value": value if is_finite else None, "not_finite": not_finite, "direction": direction, "num_samples": 1}
    said = {"checkpoint": checkpoint, "protocol": protocol, "subject": "s", "source": "data/evaluations/s"}
    said |= {"solver": "euler", "steps": 6, "guidance_scale": 1.0}
    key = evaluation_id(**said, scores={"m": {**found, "spread": None}})
    evaluation = t.checked(t.Evaluation, id=key, is_complete=True, **said)
    score = t.checked(t.Score, evaluation=key, metric="m", protocol=protocol, steps=6, **found)
    rows: dict[type[Record], Record] = {t.Protocol: fields, t.Evaluation: evaluation, t.Score: score}
    return {model: [row.model_dump()] for model, row in rows.items()}


def edge_rows(child: str, relation: str, parent: str) -> Rows:
    """An artifact with one parent; call again for more."""
    edge = t.checked(t.Lineage, child=child, relation=relation, parent=parent, parent_kind="student")
    return {t.Lineage: [edge.model_dump()]}
