"""What `encode` has to make: its shards and what goes into each, which follow from prompts, clips and params alone."""

import json
from dataclasses import dataclass
from pathlib import Path

from gpd.data.shards import KINDS, NEGATIVE, shard_name
from gpd.params import Params

PROMPTS = Path("data/prompts")

Row = dict[str, str]  # a line of prompts.jsonl or clips.jsonl, or a roll-out to make


@dataclass(frozen=True)
class Job:
    """One shard: its kind, its number among its kind and what goes into it."""

    kind: str
    index: int
    rows: list[Row]

    @property
    def name(self) -> str:
        """The shard's file name."""
        return shard_name(self.kind, self.index)


def plan(params: Params) -> list[Job]:
    """All jobs, in the order of kinds; text comes first."""
    prompts, clips = _read_rows(PROMPTS / "prompts.jsonl"), _read_rows(PROMPTS / "clips.jsonl")
    captions = [{"id": clip["text"], "text": clip["caption"], "split": "caption"} for clip in clips]
    negative = {"id": NEGATIVE, "text": params.model.negative_prompt, "split": NEGATIVE}
    training = [row for row in prompts if row["split"] == "train"]
    # setdefault keeps the first: a caption that is a prompt as well stays in the prompt's split
    texts: dict[str, Row] = {}
    for row in [negative, *prompts, *captions]:
        texts.setdefault(row["id"], row)
    rows = {
        "text": list(texts.values()),
        "clips": [clip for clip in clips if clip["split"] == "train"],
        "evaluation": [clip for clip in clips if clip["split"] == "evaluation"],
        "rollouts": [
            {"id": f"r-{index:06d}", "index": str(index), **_as_text(training[index % len(training)])}
            for index in range(params.encode.rollouts.num)
        ],
    }
    size = params.encode.samples_per_shard
    return [
        Job(kind, index, rows[kind][start : start + size])
        for kind in KINDS
        for index, start in enumerate(range(0, len(rows[kind]), size))
    ]


def _as_text(row: Row) -> Row:
    return {"text": row["id"], "caption": row["text"]}


def _read_rows(path: Path) -> list[Row]:
    # split at line feeds alone: a prompt may hold other separators of lines
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
