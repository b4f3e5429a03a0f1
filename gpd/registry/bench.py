"""`gpd bench registry`: the registry with 100,000 checkpoints and 1,000,000 scores, against its goals."""

import hashlib
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gpd import registry
from gpd.artifacts import hash_json, write_json
from gpd.models.use import profile_text
from gpd.progress import progress_bar
from gpd.registry import tables as t

NUM_CHECKPOINTS = 100_000
METRICS = ("trajectory_error", *(f"metric_{number}" for number in range(9)))
CHAIN = 50  # checkpoints that descend from one another
CHECKPOINTS_AT_ONCE = 10_000
REPEATS = 30
NUM_PROCESSES = 8
NUM_DOCUMENTS = 600  # of the workspace that several sync at once
FEW_DOCUMENTS, MANY_DOCUMENTS = 200, 2_000
PROTOCOLS = tuple(hash_json({"protocol": number}) for number in range(2))
BASE = hash_json("base")


@dataclass(frozen=True)
class Figure:
    """One line of the result. `is_met` is None where there is no goal."""

    what: str
    value: str
    goal: str = ""
    is_met: bool | None = None


def run(num_checkpoints: int = NUM_CHECKPOINTS) -> bool:
    """Fills a SQLite registry, measures, prints a table. Returns whether every goal was met."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        figures = [
            *_fill(path / "large.db", num_checkpoints),
            *_ask(path / "large.db", num_checkpoints),
            *_sync_at_once(path / "together"),
            *_sync_memory(path / "memory"),
        ]
    _show(figures)
    return all(figure.is_met is not False for figure in figures)


def _show(figures: list[Figure]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("registry", "measured", "goal", ""):
        table.add_column(column, justify="left" if column == "registry" else "right")
    for figure in figures:
        verdict = "" if figure.is_met is None else "met" if figure.is_met else "MISSED"
        table.add_row(figure.what, figure.value, figure.goal, verdict)
    Console(width=110).print(table)


# --- a large registry


def _fill(path: Path, num_checkpoints: int) -> Iterator[Figure]:
    started = time.perf_counter()
    engine = registry.make_engine(registry.registry_url(str(path)))
    with registry.writing(engine) as connection:
        registry.create_or_check(connection, str(path))
        _insert(connection, _first_rows())
    with progress_bar("fill", num_checkpoints) as advance:
        for start in range(0, num_checkpoints, CHECKPOINTS_AT_ONCE):
            with registry.writing(engine) as connection:
                _insert(connection, _rows(start, min(start + CHECKPOINTS_AT_ONCE, num_checkpoints)))
            advance(min(start + CHECKPOINTS_AT_ONCE, num_checkpoints), "checkpoints")
    seconds, num_scores = time.perf_counter() - started, num_checkpoints * len(METRICS)
    yield Figure("checkpoints, scores", f"{num_checkpoints:,}, {num_scores:,}")
    yield Figure("size of the database", f"{path.stat().st_size / 2**20:.0f} MiB")
    yield Figure("filling it", f"{seconds:.0f} s")


def _insert(connection: Any, rows: dict[Any, list[dict[str, Any]]]) -> None:
    for model, some in rows.items():
        connection.execute(t.table_of(model).insert(), some)


def _first_rows() -> dict[Any, list[dict[str, Any]]]:
    artifact = {"content": BASE, "kind": "base", "name": "base", "manifest_hash": BASE}
    protocols = [{"hash": name, "num_prompts": 8, "seeds": [0], "fields": {"shift": name[:4]}} for name in PROTOCOLS]
    return {
        t.Artifact: [artifact],
        t.Checkpoint: [{"content": BASE, "role": "base", "base": BASE}],
        t.Protocol: protocols,
    }


def _content(number: int) -> str:
    return hashlib.sha256(f"checkpoint {number}".encode()).hexdigest()


def _rows(start: int, end: int) -> dict[Any, list[dict[str, Any]]]:
    """Students in chains of CHAIN, each measured once, by all metrics, under one of two protocols."""
    rows: dict[Any, list[dict[str, Any]]] = {
        model: [] for model in (t.Artifact, t.Checkpoint, t.Location, t.Param, t.Lineage, t.Evaluation, t.Score)
    }
    chance = random.Random(start)
    for number in range(start, end):
        _add_checkpoint(rows, number)
        _add_evaluation(rows, number, chance)
    return rows


def _add_checkpoint(rows: dict[Any, list[dict[str, Any]]], number: int) -> None:
    content, stage = _content(number), f"k{number % CHAIN + 1}"
    previous = BASE if number % CHAIN == 0 else _content(number - 1)
    edge = {"child": content, "parent_kind": "student"}
    rows[t.Artifact].append({"content": content, "kind": "student", "name": stage, "manifest_hash": content})
    described = {"stage": stage, "horizon": number % CHAIN + 1, "base": BASE, "forwards": 100}
    rows[t.Checkpoint].append({"content": content, "role": "student", **described})
    rows[t.Location].append({"content": content, "path": f"data/students/{stage}"})
    rows[t.Param] += [{"content": content, "key": key, "value": f"{number % 7}.0"} for key in ("batch", "seed")]
    rows[t.Lineage] += [
        {**edge, "relation": "previous", "parent": previous},
        {**edge, "relation": "teacher", "parent": BASE},
    ]


def _add_evaluation(rows: dict[Any, list[dict[str, Any]]], number: int, chance: random.Random) -> None:
    key, protocol, steps = hash_json([number]), PROTOCOLS[number % 2], (6, 12, 24, 48)[number // 2 % 4]
    setting = {"checkpoint": _content(number), "protocol": protocol, "steps": steps, "solver": "euler"}
    said = {
        "subject": "s",
        "guidance_scale": 1.0,
        "source": "data/evaluations/s",
        "is_complete": True,
        "is_current": True,
    }
    rows[t.Evaluation].append({"id": key, **setting, **said})
    score = {"evaluation": key, "protocol": protocol, "steps": steps, "direction": "lower", "num_samples": 8}
    rows[t.Score] += [{**score, "metric": metric, "value": chance.random()} for metric in METRICS]


def _ask(path: Path, num_checkpoints: int) -> Iterator[Figure]:
    last = _content(min(num_checkpoints, CHAIN) - 1)
    question: dict[str, Any] = {"steps": 6, "protocol": PROTOCOLS[0][:12]}
    with registry.open_registry(str(path)) as session:
        yield _timed("best", 50.0, lambda: registry.best(session=session, **question))
        narrow = {**question, "where": {"seed": "4", "batch": "4"}}
        yield _timed("best, where two params hold", 50.0, lambda: registry.best(session=session, **narrow))
        chain = registry.lineage(session=session, key=last)
        assert len(chain.nodes) == CHAIN + 1
        yield _timed(f"lineage, {CHAIN} deep", 20.0, lambda: registry.lineage(session=session, key=last))
        yield _timed("find by 12 digits", None, lambda: registry.find_artifact(key=last[:12], session=session))
        yield _timed("show", None, lambda: registry.show(session=session, key=last))
        yield _timed("list of 50", None, lambda: registry.list_checkpoints(session=session))


def _timed(what: str, goal_ms: float | None, ask: Callable[[], Any]) -> Figure:
    """The median of REPEATS, and the first, which also compiles the statement."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    median, first = (1000 * value for value in (statistics.median(seconds), seconds[0]))
    goal = "" if goal_ms is None else f"< {goal_ms:.0f} ms"
    return Figure(what, f"{median:.1f} ms (first {first:.1f})", goal, None if goal_ms is None else median < goal_ms)


# --- sync


def _sync_at_once(workspace: Path) -> Iterator[Figure]:
    """Several processes into one new database, against one process into another."""
    _write_workspace(workspace, NUM_DOCUMENTS)
    started = time.perf_counter()
    _sync(str(workspace), str(workspace / "alone.db"))
    alone = time.perf_counter() - started
    context = multiprocessing.get_context("spawn")
    arguments = (str(workspace), str(workspace / "together.db"))
    processes = [context.Process(target=_sync, args=arguments) for _ in range(NUM_PROCESSES)]
    started = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    together = time.perf_counter() - started
    is_same = _exported(workspace / "alone.db") == _exported(workspace / "together.db")
    is_well = is_same and all(process.exitcode == 0 for process in processes)
    yield Figure(f"sync of {NUM_DOCUMENTS} documents, one process", f"{alone:.1f} s")
    yield Figure(f"the same by {NUM_PROCESSES} processes at once", f"{together:.1f} s")
    yield Figure("their database is that of one", "yes" if is_well else "NO", "yes", is_well)


def _sync_memory(workspace: Path) -> Iterator[Figure]:
    _write_workspace(workspace / "few", FEW_DOCUMENTS)
    _write_workspace(workspace / "many", MANY_DOCUMENTS)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        few = pool.apply(_peak_mib, (str(workspace / "few"),))
        many = pool.apply(_peak_mib, (str(workspace / "many"),))
    figures = f"{few:.0f} and {many:.0f} MiB"
    yield Figure(
        f"peak memory of sync, {FEW_DOCUMENTS} and {MANY_DOCUMENTS} documents",
        figures,
        "ratio <= 1.1",
        many <= 1.1 * few,
    )


def _write_workspace(workspace: Path, num_documents: int) -> None:
    """params.yaml, and evaluations and run records half and half."""
    workspace.mkdir(parents=True)
    (workspace / "params.yaml").write_text(profile_text("tiny-wan"))
    protocol = {"num_prompts": 8, "seeds": [0]}
    for number in range(num_documents // 2):
        evaluation = {"format": 1, "protocol": {"hash": hash_json(protocol), **protocol}, "subjects": _subjects(number)}
        write_json(workspace / "data/evaluations" / f"e{number}" / "evaluation.json", evaluation)
        write_json(workspace / ".work/runs" / f"{number}.json", _run_record(number))


def _subjects(number: int) -> dict[str, Any]:
    metrics = {name: {"value": number / 7, "direction": "lower", "num_samples": 8, "spread": None} for name in METRICS}
    setting = {"solver": "euler", "steps": 6, "guidance_scale": 1.0, "forwards": 6}
    return {"s": {"checkpoint": _content(number), **setting, "metrics": metrics}}


def _run_record(number: int) -> dict[str, Any]:
    outputs = [{"path": "data/students/k8", "kind": "student", "content": _content(number)}]
    record = {"format": 1, "id": f"{number:032x}", "stage": "distill@k8", "command": ["gpd", "distill", "k8"]}
    return {**record, "started": "2026-01-01T00:00:00+00:00", "exit_code": 0, "outputs": outputs, "forwards": {}}


def _sync(workspace: str, url: str) -> None:
    result = registry.sync(workspace=Path(workspace), url=url)
    assert not result.problems, result.problems


def _peak_mib(workspace: str) -> float:
    _sync(workspace, f"{workspace}/registry.db")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _exported(path: Path) -> str:
    """A hash of everything in a registry."""
    digest = hashlib.sha256()
    with registry.open_registry(str(path)) as session:
        for line in registry.export_lines(session.connection()):
            digest.update(line.encode())
    return digest.hexdigest()
