"""Where each student on the page comes from: model, data, params.

Time, machine and commit are no part of a page that DVC versions: equal results have equal pages. `gpd registry show k8`
has them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import UserError
from gpd.documents import BaseFacts, Manifest, StudentFacts
from gpd.models.folders import INDEX
from gpd.params import Params
from gpd.report.outcome import Outcome

SHORT = 12  # digits of a hash that a person reads


@dataclass(frozen=True)
class Origin:
    """Facts of a student, each with its name, and all its params."""

    student: str
    facts: list[tuple[str, str]]
    params: dict[str, Any]

    @property
    def summary(self) -> str:
        """Which bytes, and what says when and by which code they were made."""
        return f"{dict(self.facts)['content'][:SHORT]}; commit, date and device: gpd registry show {self.student}"


def make_origins(params: Params, outcome: Outcome) -> list[Origin]:
    """One for each student, from manifests alone."""
    base = describe_base(Path(params.model.path))
    return [_origin(name, manifest, base) for name, manifest in outcome.students.items()]


def _origin(name: str, manifest: Manifest[StudentFacts], base: list[tuple[str, str]]) -> Origin:
    inputs = [(role, f"{found.kind} {found.content[:SHORT]}") for role, found in manifest.inputs.items()]
    facts = [("content", manifest.content), *inputs, *base]
    return Origin(name, facts, manifest.params)


def describe_base(folder: Path) -> list[tuple[str, str]]:
    """Name, place on the hub and licence of the base model; nothing if its folder is not here."""
    from gpd.models.families import find_family  # imports torch, which `gpd table` does without

    try:
        facts = documents.load_manifest(folder, BaseFacts).facts
        exchange = find_family(folder / INDEX).exchange
    except (UserError, OSError):
        return []
    source = f", {facts.repository} at {facts.revision}" if facts.repository else ""
    licence = [] if exchange is None else [("licence of the base model", f"{exchange.license}, {exchange.license_url}")]
    return [("base model", f"{facts.name}{source}"), *licence]
