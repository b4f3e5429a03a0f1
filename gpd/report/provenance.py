"""Where each student on the page comes from: model, data, params, and the run that first made it here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import WORK, UserError
from gpd.documents import BaseFacts, Manifest, RunRecord, StudentFacts
from gpd.models.families import find_family
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
        """One line: which bytes, when, by which code."""
        known = dict(self.facts)
        parts = [known["content"][:SHORT], known.get("made"), known.get("commit", "")[:SHORT]]
        return ", ".join(part for part in parts if part)


def make_origins(params: Params, outcome: Outcome) -> list[Origin]:
    """One for each student, from documents alone, so that the same ones give the same page.

    Manifests say nothing of time, machine and code, which may differ between equal results: these are of the first run
    that is recorded in this workspace as having made the student, and left out without a record.
    """
    base = describe_base(Path(params.model.path))
    runs = load_runs()
    return [_origin(name, manifest, base, runs) for name, manifest in outcome.students.items()]


def _origin(name: str, manifest: Manifest[StudentFacts], base: list[tuple[str, str]], runs: list[RunRecord]) -> Origin:
    inputs = [(role, f"{found.kind} {found.content[:SHORT]}") for role, found in manifest.inputs.items()]
    facts = [("content", manifest.content), *_run_facts(manifest.content, runs), *inputs, *base]
    return Origin(name, facts, manifest.params)


def describe_base(folder: Path) -> list[tuple[str, str]]:
    """Name, place on the hub and licence of the base model; nothing if its folder is not here."""
    try:
        facts = documents.load_manifest(folder, BaseFacts).facts
        exchange = find_family(folder / INDEX).exchange
    except (UserError, OSError):
        return []
    source = f", {facts.repository} at {facts.revision}" if facts.repository else ""
    licence = [] if exchange is None else [("licence of the base model", f"{exchange.license}, {exchange.license_url}")]
    return [("base model", f"{facts.name}{source}"), *licence]


def load_runs() -> list[RunRecord]:
    """Finished runs of this workspace, the earliest first; records that cannot be read are no matter here."""
    found = []
    for path in sorted((WORK / "runs").glob("*.json")):
        try:
            found.append(documents.load_document(RunRecord, path, "delete it"))
        except UserError:
            continue
    return sorted((run for run in found if run.exit_code == 0), key=lambda run: (run.started, run.id))


def _run_facts(content: str, runs: list[RunRecord]) -> list[tuple[str, str]]:
    run = next((run for run in runs if any(output.content == content for output in run.outputs)), None)
    if run is None:
        return []
    state = " with changes that are not committed" if run.git.is_dirty else ""
    spent = "" if run.device_seconds is None else f", {run.device_seconds:,.0f} device-seconds"
    facts = [("made", f"{run.started[:16].replace('T', ' ')} UTC"), ("device", f"{run.device}{spent}")]
    return [*facts, ("commit", f"{run.git.commit}{state}")] if run.git.commit else facts
