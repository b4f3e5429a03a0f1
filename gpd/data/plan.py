"""What `encode` has to make: its shards and what goes into each, which follow from prompts, clips and params alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from gpd.data.rows import CLIP_ROWS, PROMPT_ROWS, PROMPTS, Clip, Prompt, load_rows
from gpd.data.shards import KINDS, NEGATIVE, shard_name
from gpd.params import Params


@dataclass(frozen=True)
class Rollout:
    """A trajectory to make: the number that its noise is drawn from, and the prompt."""

    index: int
    prompt: Prompt

    @property
    def id(self) -> str:
        """Its key in the shard."""
        return f"r-{self.index:06d}"


Row = Prompt | Clip | Rollout


@dataclass(frozen=True)
class Job:
    """One shard: its kind, its number among its kind and what goes into it."""

    kind: str
    index: int
    rows: Sequence[Row]

    @property
    def name(self) -> str:
        """The shard's file name."""
        return shard_name(self.kind, self.index)


def plan(params: Params) -> list[Job]:
    """All jobs, in the order of kinds; text comes first."""
    prompts, clips = load_rows(PROMPTS / PROMPT_ROWS, Prompt), load_rows(PROMPTS / CLIP_ROWS, Clip)
    training = [prompt for prompt in prompts if prompt.split == "train"]
    rows: dict[str, Sequence[Row]] = {
        "text": list_texts(prompts, clips, params.model.negative_prompt),
        "clips": [clip for clip in clips if clip.split == "train"],
        "evaluation": [clip for clip in clips if clip.split == "evaluation"],
        "rollouts": [Rollout(index, training[index % len(training)]) for index in range(params.encode.rollouts.num)],
    }
    size = params.encode.samples_per_shard
    return [
        Job(kind, index, rows[kind][start : start + size])
        for kind in KINDS
        for index, start in enumerate(range(0, len(rows[kind]), size))
    ]


def list_texts(prompts: list[Prompt], clips: list[Clip], negative_prompt: str) -> list[Prompt]:
    """Every text once: the negative prompt, prompts, captions. A caption that is a prompt as well counts as prompt."""
    negative = Prompt(id=NEGATIVE, text=negative_prompt, split=NEGATIVE)
    captions = [Prompt(id=clip.text, text=clip.caption, split="caption") for clip in clips]
    texts: dict[str, Prompt] = {}
    for text in [negative, *prompts, *captions]:
        texts.setdefault(text.id, text)  # keeps the first
    return list(texts.values())
