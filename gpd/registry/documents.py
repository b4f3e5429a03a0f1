"""The files of a workspace that `sync` reads, one at a time, as rows for the tables."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, ValidationError

from gpd import documents
from gpd.artifacts import MANIFEST, WORK, UserError, hash_files, hash_json
from gpd.documents import BaseFacts, Manifest, RunRecord, StudentFacts, first_mistake, load_json, parse, parse_manifest
from gpd.documents.reading import parse_yaml
from gpd.registry import tables as t
from gpd.registry.columns import Record, clean_text
from gpd.registry.recorded import Rows
from gpd.registry.secrets import mask_passwords

EVALUATIONS = "data/evaluations/*/evaluation.json"
FETCHED = Path("data/fetched")  # students that others have published, NAME-HASH/ each, with figures of theirs
FETCHED_EVALUATIONS = f"{FETCHED}/*/evaluations/*/evaluation.json"
OUTPUTS = tuple(f"data/{'*/' * depth}{MANIFEST}" for depth in (1, 2, 3))  # whatever stage wrote them
DvcLock = dict[str, dict[str, Any]]  # its outputs: path -> {md5, size, nfiles}


@dataclass
class Document:
    """The content of one file: rows by table, or the problem with it in one line."""

    rows: Rows = field(default_factory=dict)
    problem: str | None = None


def read_workspace(workspace: Path, model_path: str) -> Iterator[Document]:
    """Every manifest, evaluation and run record of a workspace, in an order that does not depend on the machine.

    Only one document is in memory at a time. A file that cannot be used becomes a Document with a problem.
    """
    lock: DvcLock = {}
    try:
        lock = read_dvc_lock(workspace / "dvc.lock")
    except UserError as error:
        yield Document(problem=str(error))
    base = workspace / model_path / MANIFEST
    outputs = [*([base] if base.is_file() else []), *_listed(workspace, *OUTPUTS)]
    for path in dict.fromkeys(outputs):
        yield _read(path, lambda path: manifest_rows(path, workspace, lock))
    for path in [*_listed(workspace, FETCHED_EVALUATIONS), *_listed(workspace, EVALUATIONS)]:  # our own count
        yield _read(path, lambda path: evaluation_rows(path, workspace))
    for path in _listed(workspace, f"{WORK}/runs/*.json"):
        yield _read(path, run_rows)


def _listed(workspace: Path, *patterns: str) -> list[Path]:
    """The files of these patterns, sorted; what begins with a dot is still being written."""
    found = sorted(path for pattern in patterns for path in workspace.glob(pattern))
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(workspace).parts[1:])]


def _read(path: Path, read: Callable[[Path], Iterator[Record]]) -> Document:
    document = Document()
    try:
        for row in read(path):
            document.rows.setdefault(type(row), []).append(row.model_dump())
    except UserError as error:
        return Document(problem=str(error))
    except ValidationError as error:
        return Document(problem=f"{path}: {first_mistake(error)}")
    except (ValueError, OverflowError, RecursionError, OSError) as error:
        return Document(problem=f"{path}: cannot be used ({type(error).__name__}: {error})")
    return document


def _relative(path: Path, workspace: Path) -> str:
    return (path.relative_to(workspace) if path.is_relative_to(workspace) else path).as_posix()


def _load(path: Path) -> dict[str, Any]:
    return dict(clean_text(load_json(path, "whatever wrote it has to run again")))


# --- manifests


def manifest_rows(path: Path, workspace: Path, lock: DvcLock) -> Iterator[Record]:
    """An artifact with its settings, parents and, if its files are all there, its place."""
    raw = _load(path)
    manifest = parse_manifest(raw, path)
    content, facts, sizes = manifest.content, manifest.facts, {name: f.size for name, f in manifest.files.items()}
    if content != hash_files(raw["files"]):
        raise UserError(f"{path}: content {content:.12} is not the hash of the files listed")
    yield t.checked(
        t.Artifact,
        **manifest.model_dump(include={"content", "kind", "format", "params"}),
        name=getattr(facts, "name", None) or getattr(facts, "stage", None) or manifest.kind,
        size_bytes=sum(sizes.values()),
        num_files=len(sizes),
        facts=raw["facts"],
        manifest_hash=hash_json(raw),
    )
    yield from _checkpoint(manifest)
    for key, value in documents.flatten(manifest.params).items():
        if value != {}:
            yield t.checked(t.Param, content=content, key=key, value=comparable(value))
    for relation, parent in manifest.inputs.items():
        yield t.checked(t.Lineage, child=content, relation=relation, parent=parent.content, parent_kind=parent.kind)
    if _is_whole(path.parent, sizes):
        where = _relative(path.parent, workspace)
        yield t.checked(t.Location, content=content, path=where, dvc_md5=_md5(lock.get(where, {}), path, sizes))


def _checkpoint(manifest: Manifest[Any]) -> Iterator[t.Checkpoint]:
    facts, base, costs = manifest.facts, manifest.inputs.get("teacher"), {}
    if isinstance(facts, StudentFacts):
        costs = {"forwards": sum(facts.forwards.values()), "forwards_by_role": facts.forwards}
    elif isinstance(facts, BaseFacts):
        base = manifest.identity
    else:
        return
    known = facts.model_dump(include=t.Checkpoint.model_fields.keys() - {"content", "base", "role", *costs})
    place = {"content": manifest.content, "role": manifest.kind, "base": base.content if base else None}
    yield t.checked(t.Checkpoint, **place, **known, **costs)


def _is_whole(folder: Path, sizes: dict[str, int]) -> bool:
    """Whether every file is there in its size; the bytes are checked by `verify`."""
    try:
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except OSError:
        return False


def comparable(value: Any) -> str:
    """A setting as text, equal for equal settings: numbers as floats, text as it is, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value))
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


# --- evaluations: as `gpd evaluate` writes them, but for values that are no finite numbers, which are kept as such


def _number(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and math.isfinite(float(value))):
        raise ValueError("not a number")
    return math.nan if value is None else value


class ReadScore(documents.Score):
    """A score whose value may be nan, inf or -inf, also as text; null counts as nan."""

    model_config = ConfigDict(allow_inf_nan=True)
    value: Annotated[float, BeforeValidator(_number)]


class ReadSubject(documents.SubjectScores):
    """A subject with such scores."""

    metrics: dict[str, ReadScore]  # type: ignore[assignment]  # dict is invariant


class ReadEvaluation(documents.Evaluation):
    """An evaluation of such subjects."""

    subjects: dict[str, ReadSubject]  # type: ignore[assignment]


def evaluation_rows(path: Path, workspace: Path) -> Iterator[Record]:
    """A protocol, and each subject with its scores."""
    raw = _load(path)
    evaluation = parse(ReadEvaluation, raw, path)
    fields = {key: value for key, value in raw["protocol"].items() if key != "hash"}
    if evaluation.protocol.hash != hash_json(fields):
        claimed = evaluation.protocol.hash
        raise UserError(f"{path}: protocol.hash={claimed!r:.20} is not the hash of the protocol beside it")
    columns = evaluation.protocol.model_dump(include={*t.Protocol.model_fields})
    yield t.checked(t.Protocol, **columns, fields=fields)
    source = _relative(path.parent, workspace)
    for name, subject in evaluation.subjects.items():
        yield from _subject_rows(evaluation.protocol, source, name, subject)


def _subject_rows(protocol: documents.Protocol, source: str, name: str, subject: ReadSubject) -> Iterator[Record]:
    settings = subject.model_dump(include={"checkpoint", "solver", "steps", "guidance_scale"})
    scores = {metric: _score_values(score) for metric, score in subject.metrics.items()}
    key = evaluation_id(protocol=protocol.hash, subject=name, source=source, scores=scores, **settings)
    num_samples = protocol.num_prompts * len(protocol.seeds)
    is_complete = any(score.num_samples >= num_samples for score in subject.metrics.values())
    place = {"protocol": protocol.hash, "subject": name, "forwards": subject.forwards, "source": source}
    yield t.checked(t.Evaluation, id=key, is_complete=is_complete, **place, **settings)
    for metric, values in scores.items():
        place = {"evaluation": key, "metric": metric, "protocol": protocol.hash, "steps": subject.steps}
        yield t.checked(t.Score, **place, **values)


def evaluation_id(**said: Any) -> str:
    """Of all that an evaluation says but its cost: protocol, subject, source, scores, checkpoint and its sampling."""
    return hash_json(said)


def _score_values(score: ReadScore) -> dict[str, Any]:
    is_finite, has_spread = math.isfinite(score.value), score.spread is not None and math.isfinite(score.spread)
    return {
        "direction": score.direction,
        "value": score.value if is_finite else None,
        "not_finite": None if is_finite else str(score.value),  # nan, inf or -inf
        "num_samples": score.num_samples,
        "spread": score.spread if has_spread else None,
    }


# --- runs


def run_rows(path: Path) -> Iterator[Record]:
    """An execution and what it wrote; passwords in its command and its error are masked."""
    record = parse(RunRecord, _load(path), path)
    yield t.checked(
        t.Run,
        **record.model_dump(exclude={"format", "git", "outputs", "command", "error"}),
        git_commit=record.git.commit,
        git_is_dirty=record.git.is_dirty,
        command=[mask_passwords(word) for word in record.command],
        error=None if record.error is None else mask_passwords(record.error),
    )
    for output in record.outputs:
        yield t.checked(t.RunOutput, run=record.id, **output.model_dump())


# --- dvc.lock


def read_dvc_lock(path: Path) -> DvcLock:
    """The outputs in dvc.lock; none if there is no file.

    Raises:
        UserError: it is unusable.
    """
    try:
        stages = (parse_yaml(path.read_text(encoding="utf-8")) or {}).get("stages", {})
        return {out["path"]: out for stage in stages.values() for out in stage.get("outs", [])}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise UserError(f"{path.name}: not readable ({' '.join(str(error).split())})") from None


def _md5(output: dict[str, Any], manifest: Path, sizes: dict[str, int]) -> str | None:
    """The MD5 by which DVC keeps a folder; None if dvc.lock means other content (by number and size)."""
    size = sum(sizes.values()) + manifest.stat().st_size
    is_same = (output.get("nfiles"), output.get("size")) == (len(sizes) + 1, size)
    return output.get("md5") if is_same else None
