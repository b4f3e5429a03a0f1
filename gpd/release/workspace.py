"""What a card says of a student, from the documents of this workspace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import MANIFEST, UserError
from gpd.data.rows import PROMPT_ROWS, PROMPTS, Prompt, load_rows
from gpd.documents import BaseFacts, Evaluation, Exported, Identity, Manifest, StudentFacts
from gpd.registry.best import Measured
from gpd.release.card import PROMPT, Card, Ingredient
from gpd.release.figures import Figures, tabulate
from gpd.release.student import Student

DATA = Path("data")
EVALUATIONS = DATA / "evaluations"


def describe_student(student: Student, exports: list[Exported], place: str) -> Card:
    """From its manifest, those of what went into it, and the evaluations that measured it."""
    manifest = student.manifest
    known = {found.content: found for found in _manifests()}
    base = documents.load_manifest(student.base, BaseFacts).facts if student.base else None
    return Card(
        content=manifest.content,
        facts=manifest.facts,
        settings=manifest.params,
        base=base,
        exchange=student.exchange,
        grid=student.grid,
        ingredients=[_ingredient(relation, parent, known) for relation, parent in manifest.inputs.items()],
        figures=_figures(manifest.content, student.base_identity.content),
        total_forwards=_total_forwards(manifest, known),
        exports=exports,
        place=place,
        prompt=_example_prompt(),
    )


def _manifests() -> Iterator[Manifest[Any]]:
    for path in sorted([*DATA.glob(f"*/{MANIFEST}"), *DATA.glob(f"students/*/{MANIFEST}")]):
        try:
            yield documents.load_manifest(path.parent)
        except UserError:
            continue  # of something else than this student: `gpd registry sync` says what is wrong with it


def _ingredient(relation: str, parent: Identity, known: dict[str, Manifest[Any]]) -> Ingredient:
    found = known.get(parent.content)
    facts = found.facts.model_dump(mode="json") if found else {}
    return Ingredient(relation, parent.kind, parent.content, facts)


def _total_forwards(manifest: Manifest[Any], known: dict[str, Manifest[Any]]) -> int | None:
    """Of a student and all before it; None if one of them is not here."""
    total = sum(manifest.facts.forwards.values())
    previous = manifest.inputs.get("previous")
    if previous is None or previous.kind == BaseFacts.kind:
        return total
    before = known.get(previous.content)
    if before is None or not isinstance(before.facts, StudentFacts):
        return None
    earlier = _total_forwards(before, known)
    return None if earlier is None else total + earlier


def _example_prompt() -> str:
    """One that was not trained on, if the prompts are here."""
    path = PROMPTS / PROMPT_ROWS
    rows = load_rows(path, Prompt) if path.is_file() else []
    return next((row.text for row in rows if row.split == "evaluation"), PROMPT)


def _figures(student: str, base: str) -> list[Figures]:
    scores: dict[str, list[Measured]] = {student: [], base: []}
    protocols = {}
    for path in sorted(EVALUATIONS.glob("*/evaluation.json")):
        evaluation = documents.load_document(Evaluation, path, f"run `gpd evaluate {path.parent.name}` again")
        protocols[evaluation.protocol.hash] = evaluation.protocol.model_dump()
        for measured in _measured(evaluation, path.parent.as_posix()):
            if measured.content in scores:
                scores[measured.content].append(measured)
    return tabulate(scores[student], scores[base], protocols)


def _measured(evaluation: Evaluation, source: str) -> Iterator[Measured]:
    for name, subject in evaluation.subjects.items():
        for metric, score in subject.metrics.items():
            yield Measured(
                content=subject.checkpoint,
                name=name,
                subject=name,
                metric=metric,
                protocol=evaluation.protocol.hash,
                steps=subject.steps,
                solver=subject.solver,
                guidance_scale=subject.guidance_scale,
                forwards=subject.forwards,
                is_complete=True,
                source=source,
                heads=None,
                role=None,
                paths=[],
                **score.model_dump(),
            )
