"""A student's card: what it is, how to sample it, how good it is; markdown as the hub renders it."""

import functools
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from gpd.artifacts import hash_json
from gpd.core.schedule import Grid
from gpd.documents import BaseFacts, Exported, StudentFacts
from gpd.documents.cards import METHOD, SETTINGS, call_with, licence
from gpd.models.adapters import WEIGHTS_FILE
from gpd.models.exchange import Exchange
from gpd.release.figures import Figures

FRAMES_PER_SECOND = 16  # Wan's
PROMPT = "a red fox runs through fresh snow, side view, morning light"


@dataclass(frozen=True)
class Ingredient:
    """Something that went into the student; `facts` are empty if only its hash is known."""

    relation: str
    kind: str
    content: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        content: the student's content hash.
        settings: that determined it, by dotted keys as in its manifest.
        base: None if only the hash of the base model is known.
        grid: the noise levels that it walks.
        figures: by protocol.
        total_forwards: of this stage and all before it; None if not all are known.
        exports: the files beside the card; empty for the card of a student's own folder.
        place: a path or a repository to load it from.
        prompt: for the example.
    """

    content: str
    facts: StudentFacts
    settings: Mapping[str, Any]
    base: BaseFacts | None
    exchange: Exchange
    grid: Grid
    ingredients: Sequence[Ingredient]
    figures: Sequence[Figures]
    total_forwards: int | None
    exports: Sequence[Exported]
    place: str
    prompt: str = PROMPT

    @property
    def shift(self) -> float:
        """Of the noise levels."""
        return float(self.settings["model.shift"])

    @property
    def sizes(self) -> dict[str, int]:
        """height, width, num_frames, as far as they are recorded: arguments of the pipeline's call."""
        found = {key: self.settings.get(f"model.{key}") for key in ("height", "width", "num_frames")}
        return {key: int(value) for key, value in found.items() if value is not None}

    @property
    def params_hash(self) -> str:
        """Of the settings."""
        return hash_json(dict(self.settings))

    def find(self, format: str) -> Exported | None:
        """The file of a format, if it is here."""
        return next((one for one in self.exports or [self.own] if one.format == format), None)

    @property
    def own(self) -> Exported:
        """What a student's own folder holds, as if it were a release: an adapter or a pipeline, plain or not."""
        format, path = ("lora", WEIGHTS_FILE) if self.is_adapter else ("diffusers", ".")
        format = format if self.is_plain else "gpd"
        return Exported(format=format, path=path, size=0, dtype="fp32", rank=None, lost=None)

    @property
    def is_plain(self) -> bool:
        """Whether other programs can sample it: one output layer, and steps that divide the grid."""
        return self.facts.heads is None and self.facts.sampling_steps is not None

    @property
    def is_adapter(self) -> bool:
        """Whether all that is here needs the base model beside it."""
        return all(one.rank for one in self.exports) if self.exports else self.facts.base_path is not None


def render_card(card: Card) -> str:
    """The whole of README.md: a header of YAML, then markdown."""
    header = yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True)
    shown = {key.format(card.facts.stage): label for key, label in SETTINGS.items()}
    body = _environment().get_template("card.md").render(card=card, settings=card.settings, shown=shown)
    lines = f"---\n{header}---\n\n{body}".splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def front_matter(card: Card) -> dict[str, Any]:
    """What the hub reads: it finds the card by these."""
    entries: dict[str, Any] = {
        "license": card.exchange.license,
        "library_name": "diffusers",
        "pipeline_tag": "text-to-video",
        "tags": ["text-to-video", card.exchange.architecture, "distillation", "few-step", "gpd"],
    }
    if card.base is not None and card.base.repository is not None:
        entries["base_model"] = card.base.repository
        entries["base_model_revision"] = card.base.revision
        entries["base_model_relation"] = "adapter" if card.is_adapter else "finetune"
    if card.find("lora") or card.find("lora-native"):
        entries["tags"].append("lora")
    return entries


@functools.cache
def _environment() -> jinja2.Environment:
    """Every value is escaped as it is put in, unless it is Markup: that is markdown already."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gpd.release", "."),
        autoescape=False,
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"literal": literal, "code": code}
    environment.globals |= {"fps": FRAMES_PER_SECOND, "method": METHOD, "call_with": call_with, "licence": licence}
    return environment


def escape(value: Any) -> str:
    """Text that means nothing to markdown or HTML, on one line."""
    if isinstance(value, Markup):
        return value
    text = html.escape(re.sub(r"\s+", " ", str(value)), quote=False)
    return re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", text)


def literal(value: Any) -> Markup:
    """As Python source, on one line; a backtick could end the block of code."""
    return Markup(repr(value).replace("`", r"\x60"))


def code(value: Any) -> Markup:
    """A span of code."""
    return Markup("`{}`").format(Markup(re.sub(r"[`\s|]+", " ", str(value)).strip()))
