"""README.md of a student's folder: what is known of it when its training ends, as the hub renders it.

Figures are not among it: they are measured later and stand in `gpd registry card` and in a release. That card
(gpd/release/card.py) reads the registry, on which no training may depend: an edit there would make every student stale.
What both say alike stands in gpd/documents/cards.py.
"""

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gpd.documents import BaseFacts, Identity, StudentFacts
from gpd.documents.cards import METHOD, SETTINGS, call_with, licence
from gpd.models.exchange import Exchange

CARD = "README.md"
SHOWN = SETTINGS | {"model.shift": "shift of the noise levels"}


def write_card(
    folder: Path,
    facts: StudentFacts,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Identity],
    base: BaseFacts,
    exchange: Exchange | None,
) -> None:
    """Equal bytes for equal arguments: the folder's hash covers them."""
    header = yaml.safe_dump(front_matter(base, exchange), sort_keys=False)
    body = "\n\n".join(paragraphs(facts, settings, inputs, base, exchange))
    (folder / CARD).write_text(f"---\n{header}---\n\n{body}\n", encoding="utf-8")


def front_matter(base: BaseFacts, exchange: Exchange | None) -> dict[str, Any]:
    """What the hub finds it by."""
    entries: dict[str, Any] = {"library_name": "diffusers", "pipeline_tag": "text-to-video"}
    entries["tags"] = ["text-to-video", "distillation", "few-step", "gpd"]
    known = {"license": exchange and exchange.license, "base_model": base.repository}
    return {key: value for key, value in known.items() if value is not None} | entries


def paragraphs(
    facts: StudentFacts,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Identity],
    base: BaseFacts,
    exchange: Exchange | None,
) -> Iterator[str]:
    """The card's text, below its header."""
    steps = -(-facts.grid_steps // facts.horizon)
    yield f"# {facts.stage}: {_plain(base.name)} in {steps} steps, without guidance"
    yield f"Distilled from {facts.grid_steps} guided steps by {METHOD}."
    yield from _how_to_sample(facts, settings, steps)
    yield "## What it is"
    yield _table(_properties(facts, settings, base, exchange))
    yield "## Made from"
    yield _table((relation, f"{one.kind} `{one.content}`") for relation, one in inputs.items())
    yield "## Cost"
    yield _table((f"forwards of the {role}", f"{number:,}") for role, number in facts.forwards.items())
    yield "## Figures and limits"
    yield (
        f"Measured after this was written: `gpd registry card {facts.stage}` has the figures with their protocol. "
        "It imitates its teacher, faults and biases included; other steps, guidance, shifts and sizes were not trained."
    )


def _how_to_sample(facts: StudentFacts, settings: Mapping[str, Any], steps: int) -> Iterator[str]:
    if facts.heads is not None or facts.sampling_steps is None or facts.base_path is not None:
        yield "`gpd generate --checkpoint` and this folder's path sample it; it is no pipeline by itself."
        return
    yield call_with(steps)
    sizes = {key: settings.get(f"model.{key}") for key in ("height", "width", "num_frames")}
    given = [f"{key}={value}" for key, value in sizes.items() if value is not None]
    arguments = ", ".join([*given, f"num_inference_steps={steps}", "guidance_scale=1.0"])
    yield "\n".join(
        [
            "```python",
            "from diffusers import WanPipeline",
            "from diffusers.utils import export_to_video",
            "",
            'pipeline = WanPipeline.from_pretrained(".")  # this folder',
            f'frames = pipeline("a red circle moves left slowly over a plain background", {arguments}).frames[0]',
            'export_to_video(frames, "clip.mp4", fps=16)',
            "```",
        ]
    )


def _properties(
    facts: StudentFacts, settings: Mapping[str, Any], base: BaseFacts, exchange: Exchange | None
) -> Iterator[tuple[str, str]]:
    yield "base model", _plain(" ".join(filter(None, [base.name, base.repository, base.revision])))
    if exchange is not None:
        yield "licence", licence(exchange.license, exchange.license_url)
    yield "one step covers", f"{facts.horizon} of {facts.grid_steps} intervals"
    yield "trained for", f"{facts.iterations:,} iterations, {facts.samples_seen:,} samples"
    for key, label in SHOWN.items():
        if (name := key.format(facts.stage)) in settings:
            yield label, _plain(json.dumps(settings[name]))


def _table(rows: Any) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def _plain(text: str) -> str:
    """On one line, nothing that markdown or HTML would read as a mark."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("`", "'")
