"""`gpd bench registry`: a registry of 100,000 checkpoints and 1,000,000 scores, against its goals."""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gpd import registry
from gpd.artifacts import hash_json
from gpd.progress import progress_bar
from gpd.registry import tables as t
from gpd.registry.engine import make_engine, registry_url, writing
from gpd.registry.printing import print_answer
from gpd.registry.recording import Rows
from gpd.registry.schema import create_or_check

NUM_CHECKPOINTS = 100_000
METRICS = ("trajectory_error", *(f"metric_{number}" for number in range(9)))
CHAIN = 50  # checkpoints that descend from one another
CHECKPOINTS_AT_ONCE = 10_000
REPEATS = 30
PROTOCOLS = tuple(hash_json({"protocol": number}) for number in range(2))
BASE = hash_json("base")
FIRST: Rows = {
    t.Artifact: [{"content": BASE, "kind": "base", "name": "base", "manifest_hash": BASE}],
    t.Checkpoint: [{"content": BASE, "role": "base", "base": BASE}],
    t.Protocol: [{"hash": name, "num_prompts": 8, "seeds": [0], "fields": {"shift": name[:4]}} for name in PROTOCOLS],
}
Figure = dict[str, Any]


def run(num_checkpoints: int = NUM_CHECKPOINTS) -> bool:
    """Fills a SQLite registry, measures, prints a table. Returns whether every goal was met."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.db"
        figures = [_fill(path, num_checkpoints), *_ask(path, _content(min(num_checkpoints, CHAIN) - 1))]
    print_answer(figures, as_json=False)
    return all(figure["is_met"] is not False for figure in figures)


# --- a large registry


def _fill(path: Path, num_checkpoints: int) -> Figure:
    started, engine = time.perf_counter(), make_engine(registry_url(str(path)))
    with writing(engine) as connection, progress_bar("fill", num_checkpoints) as advance:
        create_or_check(connection)
        _insert(connection, FIRST)
        for start in range(0, num_checkpoints, CHECKPOINTS_AT_ONCE):
            end = min(start + CHECKPOINTS_AT_ONCE, num_checkpoints)
            _insert(connection, _rows(start, end))
            advance(end, "checkpoints")
    what = f"{num_checkpoints:,} checkpoints, {num_checkpoints * len(METRICS):,} scores"
    size, seconds = path.stat().st_size / 2**20, time.perf_counter() - started
    return {"registry": what, "measured": f"{size:.0f} MiB, filled in {seconds:.0f} s", "goal": "", "is_met": None}


def _insert(connection: Any, rows: Rows) -> None:
    for model in filter(rows.get, t.MODELS):
        connection.execute(t.table_of(model).insert(), rows[model])


def _content(number: int) -> str:
    return hash_json(["checkpoint", number])


def _rows(start: int, end: int) -> Rows:
    """Students in chains of CHAIN, each measured once, by all metrics, under one of two protocols."""
    rows: Rows = {}
    chance = random.Random(start)
    for number in range(start, end):
        for model, some in (_checkpoint(number) | _evaluation(number, chance)).items():
            rows.setdefault(model, []).extend(some)
    return rows


def _checkpoint(number: int) -> Rows:
    content, stage = _content(number), f"k{number % CHAIN + 1}"
    parents = {"previous": _content(number - 1) if number % CHAIN else BASE, "teacher": BASE}
    described = {"stage": stage, "horizon": number % CHAIN + 1, "base": BASE, "forwards": 100}
    edge = {"child": content, "parent_kind": "student"}
    return {
        t.Artifact: [{"content": content, "kind": "student", "name": stage, "manifest_hash": content}],
        t.Checkpoint: [{"content": content, "role": "student", **described}],
        t.Location: [{"content": content, "path": f"data/students/{stage}"}],
        t.Param: [{"content": content, "key": key, "value": f"{number % 7}.0"} for key in ("batch", "seed")],
        t.Lineage: [{**edge, "relation": relation, "parent": parent} for relation, parent in parents.items()],
    }


def _evaluation(number: int, chance: random.Random) -> Rows:
    key, place = hash_json([number]), {"protocol": PROTOCOLS[number % 2], "steps": (6, 12, 24, 48)[number // 2 % 4]}
    sampled = {"subject": "s", "solver": "euler", "guidance_scale": 1.0, "source": "data/evaluations/s"}
    current = {"is_complete": True, "is_current": True}
    score = {"evaluation": key, **place, "direction": "lower", "num_samples": 8}
    return {
        t.Evaluation: [{"id": key, "checkpoint": _content(number), **place, **sampled, **current}],
        t.Score: [{**score, "metric": metric, "value": chance.random()} for metric in METRICS],
    }


# --- its answers


def _ask(path: Path, key: str) -> Iterator[Figure]:
    question: dict[str, Any] = {"steps": 6, "protocol": PROTOCOLS[0][:12]}
    narrow = {**question, "where": {"seed": "4", "batch": "4"}}
    with registry.open_registry(str(path)) as session:
        yield _timed("best", 50.0, lambda: registry.best(session=session, **question))
        yield _timed("best, where two params hold", 50.0, lambda: registry.best(session=session, **narrow))
        yield _timed(f"lineage, {CHAIN} deep", 20.0, lambda: registry.lineage(session=session, key=key))
        yield _timed("find by 12 digits", None, lambda: registry.find_artifact(key=key[:12], session=session))
        yield _timed("show", None, lambda: registry.show(session=session, key=key))
        yield _timed("list of 50", None, lambda: registry.list_checkpoints(session=session))


def _timed(what: str, goal_ms: float | None, ask: Callable[[], Any]) -> Figure:
    """The median of REPEATS, and the first, which also compiles the statement."""
    times_ms = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        ask()
        times_ms.append(1000 * (time.perf_counter() - started))
    median = statistics.median(times_ms)
    goal, is_met = (f"< {goal_ms:.0f} ms", median < goal_ms) if goal_ms else ("", None)
    measured = f"{median:.1f} ms (first {times_ms[0]:.1f})"
    return {"registry": what, "measured": measured, "goal": goal, "is_met": is_met}
