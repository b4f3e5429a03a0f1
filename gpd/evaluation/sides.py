"""One side of a comparison: a folder of clips, a subject that was evaluated here, or a checkpoint of the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import MANIFEST, UserError
from gpd.documents import ClipsFacts, Evaluation, Manifest, Score, StudentFacts, flatten
from gpd.documents.inside import path_inside
from gpd.evaluation.folders import list_clips
from gpd.evaluation.protocol import EVALUATIONS
from gpd.params import REFERENCE

STUDENTS = Path("data/students")
SHORT = 12  # digits of a hash that a person reads

Clips = dict[str, Path]  # by what it shows: prompt and seed, or its file name


@dataclass(frozen=True)
class Side:
    """What is known of a side; a folder has clips alone.

    Attributes:
        protocol: under which the scores were made; two sides' scores compare if it is equal.
        ancestors: of the checkpoint, the base model first and itself last: name and hash.
    """

    name: str
    clips: Clips
    protocol: str | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    costs: Mapping[str, Any] = field(default_factory=dict)
    ancestors: list[tuple[str, str]] = field(default_factory=list)


def find_side(word: str) -> Side:
    """A folder of clips, else a subject of data/evaluations, else what the registry calls so.

    Raises:
        UserError: it is none of them.
    """
    if Path(word).is_dir() and not (Path(word) / MANIFEST).is_file():
        return Side(word, {path.name: path for path in list_clips(Path(word))})
    if (EVALUATIONS / word / "evaluation.json").is_file():
        return _subject_side(word)
    folder = Path(word)
    return _recorded_side(documents.identify(folder).content if (folder / MANIFEST).is_file() else word)


def reference_clips() -> Clips:
    """Those of this workspace's reference; none if it was not evaluated."""
    return _load_clips(EVALUATIONS / REFERENCE, None)


# --- a subject of this workspace


def _subject_side(name: str) -> Side:
    evaluation = documents.load_document(
        Evaluation, EVALUATIONS / name / "evaluation.json", f"run `gpd evaluate {name}`"
    )
    subject, scores = next(iter(evaluation.subjects.items()))
    known = {found.content: found for found in map(_student, sorted(STUDENTS.glob(f"*/{MANIFEST}"))) if found}
    manifest = known.get(scores.checkpoint)
    return Side(
        name=subject,
        clips=_load_clips(EVALUATIONS / name, subject),
        protocol=evaluation.protocol.hash,
        scores=scores.metrics,
        params=name_alike(manifest.params, manifest.facts.stage) if manifest else {},
        inputs={role: found.content for role, found in manifest.inputs.items()} if manifest else {},
        costs=_costs(scores.forwards, manifest.facts.model_dump() if manifest else {}),
        ancestors=_walk(scores.checkpoint, known),
    )


def _student(path: Path) -> Manifest[StudentFacts] | None:
    try:
        return documents.load_manifest(path.parent, StudentFacts)
    except UserError:
        return None


def _walk(content: str, known: dict[str, Manifest[StudentFacts]]) -> list[tuple[str, str]]:
    found = known.get(content)
    if found is None:
        return [("base model", content)]
    return [*_walk(found.inputs["previous"].content, known), (found.facts.stage, content)]


def name_alike(params: Mapping[str, Any], stage: str | None) -> dict[str, Any]:
    """With one name for the stage, so that those of two stages stand beside each other."""
    return {key.replace(f"distill.stages.{stage}.", "distill.stages.STAGE."): value for key, value in params.items()}


def _costs(forwards: int | None, facts: Mapping[str, Any]) -> dict[str, Any]:
    spent = {f"training forwards, {role}": number for role, number in facts.get("forwards", {}).items()}
    trained = {key: facts[key] for key in ("iterations", "samples_seen") if key in facts}
    return {"forwards a clip": forwards, **spent, **trained}


def _load_clips(evaluation: Path, subject: str | None) -> Clips:
    """The shown clips of a subject, of any if it is None."""
    clips: Clips = {}
    for manifest in sorted(evaluation.glob(f"*/{MANIFEST}")):
        try:
            shown = documents.load_manifest(manifest.parent, ClipsFacts).facts.clips
        except UserError:  # of another kind
            continue
        for clip in shown:
            if subject in (None, clip.subject):
                clips[f"{clip.prompt} (seed {clip.seed})"] = path_inside(manifest.parent, clip.file)
    return {words: path for words, path in clips.items() if path.is_file()}


# --- a checkpoint of the registry


def _recorded_side(key: str) -> Side:
    from gpd.registry import find_artifact, lineage, open_registry, show

    with open_registry() as session:
        shown = show(session=session, key=key)
        params = flatten(find_artifact(key=shown.content, session=session).params or {})
        tree = lineage(session=session, key=shown.content)
    scores = _largest_group(shown.scores)
    first = scores[0] if scores else None
    return Side(
        name=key,
        clips=_load_clips(Path(first.source), first.subject) if first else {},
        protocol=first.protocol if first else None,
        scores={one.metric: _score(one) for one in scores if isinstance(one.value, float)},
        params=name_alike(params, shown.facts.get("stage")),
        inputs={parent["relation"]: parent["content"] for parent in shown.parents},
        costs=_costs(first.forwards if first else None, shown.facts),
        ancestors=_line(shown.content, tree),
    )


def _largest_group(scores: list[Any]) -> list[Any]:
    """Those of the protocol and subject that have most."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for one in scores:
        groups.setdefault((one.protocol, one.subject), []).append(one)
    return max(groups.values(), key=len, default=[])


def _score(measured: Any) -> Score:
    keys = ("value", "spread", "num_samples", "direction")
    return Score(**{key: getattr(measured, key) for key in keys})


def _line(content: str, tree: Any) -> list[tuple[str, str]]:
    """From the base model down to it, by the previous students."""
    parents = {edge.child: edge.parent for edge in tree.edges if edge.relation == "previous"}
    line: list[str] = []
    while content not in line:
        line.append(content)
        content = parents.get(content, content)
    return [(tree.nodes[one].name or tree.nodes[one].kind, one) for one in reversed(line)]
