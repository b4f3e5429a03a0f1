"""The files of a workspace that `sync` reads, one at a time, as rows for the tables."""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from sqlmodel import SQLModel

from gpd import artifacts
from gpd.artifacts import UserError, hash_files, hash_json
from gpd.documents import FORMAT
from gpd.registry import tables as t
from gpd.registry.columns import clean_text
from gpd.registry.engine import mask_passwords

Rows = list[dict[str, Any]]


@dataclass
class Document:
    """What one file says: rows by table class, or the problem with it in one line."""

    path: str
    rows: dict[type[SQLModel], Rows] = field(default_factory=dict)
    problem: str | None = None

    def add(self, model: type[SQLModel], create: type[SQLModel], **values: Any) -> None:
        """Appends a checked row."""
        self.rows.setdefault(model, []).append(create.model_validate(values).model_dump())


def read_workspace(workspace: Path, model_path: str) -> Iterator[Document]:
    """Every manifest, evaluation and run record of a workspace, in an order that does not depend on the machine.

    Only one document is in memory at a time. A file that cannot be used becomes a Document with a problem.
    """
    dvc = _read_dvc_lock(workspace / "dvc.lock")
    if dvc.problem:
        yield dvc
    for folder in _artifact_folders(workspace, model_path):
        yield _read(folder / artifacts.MANIFEST, workspace, lambda path, doc: _manifest(path, doc, workspace, dvc))
    for path in _listed(workspace / "data" / "evaluations", "evaluation.json"):
        yield _read(path, workspace, _evaluation)
    for path in _listed(workspace / artifacts.WORK / "runs"):
        if path.suffix == ".json":
            yield _read(path, workspace, _run)


def _artifact_folders(workspace: Path, model_path: str) -> Iterator[Path]:
    single = (
        workspace / model_path,
        *(workspace / "data" / name for name in ("prompts", "latents", "report")),
    )
    yield from (folder for folder in single if (folder / artifacts.MANIFEST).is_file())
    for path in _listed(workspace / "data" / "students", artifacts.MANIFEST):
        yield path.parent
    for path in _listed(workspace / "data" / "samples", artifacts.MANIFEST):
        yield path.parent
    for path in _listed(workspace / "data" / "evaluations", f"clips/{artifacts.MANIFEST}"):
        yield path.parent


def _listed(folder: Path, name: str | None = None) -> Iterator[Path]:
    """The files `folder/*/name` (or `folder/*`) that exist, sorted. Hidden ones are still being written."""
    names = (
        sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")) if folder.is_dir() else []
    )
    paths = (folder / entry / name if name else folder / entry for entry in names)
    return (path for path in paths if path.is_file())


def _read(path: Path, workspace: Path, parse: Any) -> Document:
    document = Document(_relative(path, workspace))
    try:
        parse(path, document)
    except UserError as error:
        document.problem = str(error)
    except ValidationError as error:
        mistake = error.errors()[0]
        key = ".".join(str(part) for part in mistake["loc"])
        document.problem = f"{document.path}: {key}={mistake['input']!r:.80}: {mistake['msg']}"
    except (KeyError, TypeError, AttributeError, OverflowError, ValueError, RecursionError) as error:
        document.problem = f"{document.path}: not of the expected form ({type(error).__name__}: {error})"
    except OSError as error:
        document.problem = f"{document.path}: {error.strerror}"
    if document.problem:
        document.rows.clear()
    return document


def _relative(path: Path, workspace: Path) -> str:
    return (path.relative_to(workspace) if path.is_relative_to(workspace) else path).as_posix()


def _load_json(path: Path) -> Any:
    try:
        value = clean_text(json.loads(path.read_bytes()))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(value, dict) or not isinstance(value.get("format"), int):
        raise UserError(f"{path}: key 'format' is missing")
    if value["format"] > FORMAT:
        raise UserError(f"{path}: format {value['format']} is newer than this gpd reads ({FORMAT}); update gpd")
    return value


# --- manifests


def _manifest(path: Path, document: Document, workspace: Path, dvc: "DvcLock") -> None:
    manifest, folder = _load_json(path), path.parent
    content, files, facts = manifest["content"], manifest["files"], manifest["facts"]
    if content != hash_files(files):
        raise UserError(f"{document.path}: content {content[:12]} is not the hash of the files listed")
    document.add(
        t.Artifact,
        t.ArtifactCreate,
        content=content,
        kind=manifest["kind"],
        name=facts.get("name") or facts.get("stage") or manifest["kind"],
        format=manifest["format"],
        size_bytes=sum(entry["size"] for entry in files.values()),
        num_files=len(files),
        params=manifest["params"],
        facts=facts,
        manifest_hash=hash_json(manifest),
    )
    if manifest["kind"] in ("base", "student"):
        _checkpoint(document, manifest)
    for key, value in flatten(manifest["params"]).items():
        document.add(t.Param, t.ParamCreate, content=content, key=key, value=value)
    for relation, parent in manifest["inputs"].items():
        edge = {"relation": relation, "parent": parent["content"], "parent_kind": parent["kind"]}
        document.add(t.Lineage, t.LineageCreate, child=content, **edge)
    if _is_whole(folder, files):
        where = _relative(folder, workspace)
        md5 = dvc.md5_of(where, folder, files)
        document.add(t.Location, t.LocationCreate, content=content, path=where, dvc_md5=md5)


def _checkpoint(document: Document, manifest: dict[str, Any]) -> None:
    facts, forwards = manifest["facts"], manifest["facts"].get("forwards")
    is_base = manifest["kind"] == "base"
    document.add(
        t.Checkpoint,
        t.CheckpointCreate,
        content=manifest["content"],
        role=manifest["kind"],
        base=manifest["content"] if is_base else manifest["inputs"].get("teacher", {}).get("content"),
        forwards=None if forwards is None else sum(forwards.values()),
        forwards_by_role=forwards,
        **{key: facts.get(key) for key in ("stage", "horizon", "grid_steps", "sampling_steps", "iterations")},
        **{key: facts.get(key) for key in ("samples_seen", "repository", "revision")},
    )


def _is_whole(folder: Path, files: dict[str, dict[str, Any]]) -> bool:
    """Whether every file is there in its size; the bytes are checked by `verify`."""
    try:
        return all((folder / name).stat().st_size == entry["size"] for name, entry in files.items())
    except OSError:
        return False


def flatten(params: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted keys and comparable texts: {"a": {"b": 6}} -> {"a.b": "6.0"}."""
    flat: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = comparable(value)
    return flat


def comparable(value: Any) -> str:
    """A setting as text, equal for equal settings: numbers as floats, text as it is, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value))
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


# --- evaluations


def _evaluation(path: Path, document: Document) -> None:
    report = _load_json(path)
    protocol = dict(report["protocol"])
    claimed = protocol.pop("hash")
    if claimed != hash_json(protocol):
        raise UserError(f"{document.path}: protocol.hash={claimed!r:.20} is not the hash of the protocol beside it")
    known = {key: protocol[key] for key in t.ProtocolBase.model_fields if key in protocol and key != "fields"}
    document.add(t.Protocol, t.ProtocolCreate, hash=claimed, fields=protocol, **known)
    num_samples = protocol["num_prompts"] * len(protocol["seeds"])
    for name, subject in report["subjects"].items():
        _subject(document, claimed, num_samples, name, subject)


def _subject(document: Document, protocol: str, num_samples: int, name: str, subject: dict[str, Any]) -> None:
    settings = {key: subject[key] for key in ("checkpoint", "solver", "steps", "guidance_scale")}
    scores = {metric: _score(document.path, name, metric, found) for metric, found in subject["metrics"].items()}
    source = Path(document.path).parent.as_posix()
    key = hash_json({"protocol": protocol, "subject": name, "source": source, "scores": scores, **settings})
    document.add(
        t.Evaluation,
        t.EvaluationCreate,
        id=key,
        protocol=protocol,
        subject=name,
        forwards=subject.get("forwards"),
        source=source,
        is_complete=any(score["num_samples"] >= num_samples for score in scores.values()),
        **settings,
    )
    place = {"evaluation": key, "protocol": protocol, "steps": subject["steps"]}
    for metric, score in scores.items():
        document.add(t.Score, t.ScoreCreate, metric=metric, **place, **score)


def _score(path: str, subject: str, metric: str, found: dict[str, Any]) -> dict[str, Any]:
    where = f"{path}: subjects.{subject}.metrics.{metric}"
    if found["direction"] not in t.DIRECTIONS:
        raise UserError(f"{where}.direction={found['direction']!r}: must be one of {', '.join(t.DIRECTIONS)}")
    value, not_finite = _finite(f"{where}.value", found["value"])
    spread, _ = _finite(f"{where}.spread", found.get("spread"))
    return {
        "direction": found["direction"],
        "value": value,
        "not_finite": not_finite,
        "num_samples": found["num_samples"],
        "spread": spread,
    }


def _finite(where: str, value: Any) -> tuple[float | None, str | None]:
    """A number and nothing, or nothing and what it was instead: nan, inf or -inf (null counts as nan)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | None):
        raise UserError(f"{where}={value!r}: not a number")
    try:
        number = math.nan if value is None else float(value)
    except (ValueError, OverflowError):
        raise UserError(f"{where}={value!r:.60}: not a number") from None
    if math.isfinite(number):
        return number, None
    return None, "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"


# --- runs


def _run(path: Path, document: Document) -> None:
    record = _load_json(path)
    git, error = record.get("git") or {}, record.get("error")
    same = ("id", "stage", "params_hash", "host", "device", "started", "ended", "exit_code", "forwards")
    document.add(
        t.Run,
        t.RunCreate,
        command=[mask_passwords(str(word)) for word in record["command"]],
        error=None if error is None else mask_passwords(error),
        git_commit=git.get("commit"),
        git_is_dirty=git.get("is_dirty"),
        device_seconds=record.get("device_seconds"),
        flow_run_id=record.get("flow_run_id"),
        **{key: record.get(key) for key in same},
    )
    for output in record["outputs"]:
        named = {key: output[key] for key in ("path", "kind", "content")}
        document.add(t.RunOutput, t.RunOutputCreate, run=record["id"], **named)


# --- dvc.lock


@dataclass
class DvcLock(Document):
    """What dvc.lock says of each output: path -> {md5, size, nfiles}."""

    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def md5_of(self, path: str, folder: Path, files: dict[str, dict[str, Any]]) -> str | None:
        """The MD5 by which DVC keeps this folder; None where dvc.lock means other content (by number and size)."""
        output = self.outputs.get(path)
        if output is None:
            return None
        size = sum(entry["size"] for entry in files.values()) + (folder / artifacts.MANIFEST).stat().st_size
        is_same = output.get("nfiles") == len(files) + 1 and output.get("size") == size
        return output.get("md5") if is_same else None


def _read_dvc_lock(path: Path) -> DvcLock:
    lock = DvcLock(path.name)
    try:
        stages = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stages", {})
        lock.outputs = {out["path"]: out for stage in stages.values() for out in stage.get("outs", [])}
    except FileNotFoundError:
        pass
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, TypeError, KeyError) as error:
        lock.problem = f"{path.name}: not readable ({' '.join(str(error).split())})"
    return lock
