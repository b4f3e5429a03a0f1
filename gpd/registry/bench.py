"""`gpd bench registry`: a registry of 100,000 checkpoints and 1,000,000 scores, against its goals."""

import random
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from gpd import registry
from gpd.artifacts import hash_json
from gpd.progress import progress_bar
from gpd.registry.documents import evaluation_id
from gpd.registry.engine import make_engine, registry_url, writing
from gpd.registry.finding import SHORT
from gpd.registry.printing import print_answer
from gpd.registry.schema import create_or_check

NUM_CHECKPOINTS = 100_000
METRICS = ["trajectory_error", *(f"metric_{number}" for number in range(1, 10))]
CHAIN = 50  # checkpoints that descend from one another
REPEATS = 10
BASE = hash_json(["base", 0])
PROTOCOL = hash_json({"number": 0})
FILL = (  # students in chains, each measured once, by all metrics, under one of two protocols
    f"""CREATE TEMP TABLE made AS
        WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :num)
        SELECT *, evaluation(i, content, protocol, steps) AS id FROM (
            SELECT i, hash('checkpoint', i) AS content, 'k' || (i % {CHAIN} + 1) AS stage,
                protocol(i % 2) AS protocol, (6 << (i / 2 % 4)) AS steps FROM n)""",
    f"INSERT INTO artifact (content, kind, name, manifest_hash) VALUES ('{BASE}', 'base', 'base', '{BASE}')",
    f"INSERT INTO checkpoint (content, role) VALUES ('{BASE}', 'base')",
    """INSERT INTO artifact (content, kind, name, manifest_hash, params) SELECT content, 'student', stage, content,
            json_object('batch', i % 7, 'seed', i % 7) FROM made""",
    f"""INSERT INTO checkpoint (content, role, stage, horizon, base, forwards)
        SELECT content, 'student', stage, i % {CHAIN} + 1, '{BASE}', 100 FROM made""",
    "INSERT INTO location (content, path) SELECT content, 'data/students/' || stage FROM made",
    """INSERT INTO param (content, "key", value)
        SELECT content, column1, (i % 7) || '.0' FROM made, (VALUES ('batch'), ('seed'))""",
    f"""INSERT INTO lineage (child, relation, parent, parent_kind)
        SELECT content, 'teacher', '{BASE}', 'base' FROM made""",
    f"""INSERT INTO lineage (child, relation, parent, parent_kind) SELECT content, 'previous',
            coalesce(lag(content) OVER (PARTITION BY i / {CHAIN} ORDER BY i), '{BASE}'), 'student' FROM made""",
    """INSERT INTO protocol (hash, num_prompts, seeds, fields)
        SELECT DISTINCT protocol, 8, '[0]', json_object('number', i % 2) FROM made""",
    """INSERT INTO evaluation (id, checkpoint, protocol, subject, solver, steps, guidance_scale, source, is_complete,
            is_current)
        SELECT id, content, protocol, 's', 'euler', steps, 1.0, 'data/evaluations/s', 1, 1 FROM made""",
    f"""INSERT INTO score (evaluation, metric, protocol, steps, direction, value, num_samples)
        SELECT id, column1, protocol, steps, 'lower', value(i, column1), 8
        FROM made, (VALUES {", ".join(f"('{metric}')" for metric in METRICS)})""",
)
SAID = {"subject": "s", "source": "data/evaluations/s", "solver": "euler", "guidance_scale": 1.0}  # as in FILL
OF_EACH = {"direction": "lower", "not_finite": None, "num_samples": 8, "spread": None}
QUESTION: dict[str, Any] = {"steps": 6, "protocol": PROTOCOL}
NARROW = QUESTION | {"where": {"seed": "4", "batch": "4"}}
# Since `best` compares what it ranks (guard.py) the first two are missed at this size, where 12,500 rows are compared.
GOALS_MS = {
    "best, with all that it ranks compared": 50.0,
    "best, where two params hold": 50.0,
    f"lineage, {CHAIN} deep": 20.0,
}
Figure = dict[str, Any]


def run(num_checkpoints: int = NUM_CHECKPOINTS) -> bool:
    """Fills a SQLite registry, measures, prints a table. Returns whether every goal was met."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.db"
        last = hash_json(["checkpoint", min(num_checkpoints, CHAIN) - 1])
        figures = [_fill(path, num_checkpoints), *_ask(path, last)]
    print_answer(figures, as_json=False)
    return all(figure["is_met"] is not False for figure in figures)


def _fill(path: Path, num_checkpoints: int) -> Figure:
    started, engine = time.perf_counter(), make_engine(registry_url(str(path)))
    with writing(engine) as connection, progress_bar("fill", len(FILL)) as advance:
        create_or_check(connection)
        sqlite: Any = connection.connection.driver_connection
        for name, function in FUNCTIONS.items():
            sqlite.create_function(name, function.__code__.co_argcount, function)
        for number, statement in enumerate(FILL, start=1):
            connection.exec_driver_sql(statement, {"num": num_checkpoints})
            advance(number, "statements")
    what = f"{num_checkpoints:,} checkpoints, {num_checkpoints * len(METRICS):,} scores"
    measured = f"{decimal(path.stat().st_size)}, filled in {time.perf_counter() - started:.0f} s"
    return {"registry": what, "measured": measured, "goal": "", "is_met": None}


def _value(number: int, metric: str) -> float:
    return random.Random(f"{number} {metric}").random()


def _evaluation(number: int, content: str, protocol: str, steps: int) -> str:
    """The name of an evaluation, in which its scores have a part."""
    scores = {metric: {**OF_EACH, "value": _value(number, metric)} for metric in METRICS}
    return evaluation_id(checkpoint=content, protocol=protocol, steps=steps, scores=scores, **SAID)


FUNCTIONS: dict[str, Callable[..., Any]] = {  # of FILL
    "hash": lambda what, number: hash_json([what, number]),
    "protocol": lambda number: hash_json({"number": number}),
    "value": _value,
    "evaluation": _evaluation,
}


def _ask(path: Path, key: str) -> Iterator[Figure]:
    best, narrow, chain = GOALS_MS
    with registry.open_registry(str(path)) as session:
        yield _timed(best, lambda: registry.best(session=session, **QUESTION))
        yield _timed(narrow, lambda: registry.best(session=session, **NARROW))
        yield _timed(chain, lambda: registry.lineage(session=session, key=key))
        yield _timed(f"find by {SHORT} digits", lambda: registry.find_artifact(key=key[:SHORT], session=session))
        yield _timed("show", lambda: registry.show(session=session, key=key))
        yield _timed("list of 50", lambda: registry.list_checkpoints(session=session))


def _timed(what: str, ask: Callable[[], Any]) -> Figure:
    """The median of REPEATS, and the first, which also compiles the statement."""
    times_ms = [1000 * seconds for seconds in timeit.repeat(ask, number=1, repeat=REPEATS)]
    median, goal_ms = statistics.median(times_ms), GOALS_MS.get(what)
    goal, is_met = (f"< {goal_ms:.0f} ms", median < goal_ms) if goal_ms else ("", None)
    measured = f"{median:.1f} ms (first {times_ms[0]:.1f})"
    return {"registry": what, "measured": measured, "goal": goal, "is_met": is_met}
