"""`gpd bench registry`: a registry of 100,000 checkpoints and 1,000,000 scores, against its goals."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gpd import registry
from gpd.artifacts import hash_json
from gpd.progress import progress_bar
from gpd.registry.engine import make_engine, registry_url, writing
from gpd.registry.printing import print_answer
from gpd.registry.schema import create_or_check

NUM_CHECKPOINTS = 100_000
NUM_METRICS = 10
CHAIN = 50  # checkpoints that descend from one another
REPEATS = 30
BASE = hash_json(["base", 0])
PROTOCOL = hash_json(["protocol", 0])
FILL = (  # students in chains, each measured once, by all metrics, under one of two protocols
    f"""CREATE TEMP TABLE made AS
        WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :num)
        SELECT i, hash('checkpoint', i) AS content, 'k' || (i % {CHAIN} + 1) AS stage, hash('evaluation', i) AS id,
            hash('protocol', i % 2) AS protocol, (6 << (i / 2 % 4)) AS steps FROM n""",
    f"INSERT INTO artifact (content, kind, name, manifest_hash) VALUES ('{BASE}', 'base', 'base', '{BASE}')",
    "INSERT INTO artifact (content, kind, name, manifest_hash) SELECT content, 'student', stage, content FROM made",
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
        SELECT DISTINCT protocol, 8, '[0]', '{"shift": "' || substr(protocol, 1, 4) || '"}' FROM made""",
    """INSERT INTO evaluation (id, checkpoint, protocol, subject, solver, steps, guidance_scale, source, is_complete,
            is_current)
        SELECT id, content, protocol, 's', 'euler', steps, 1.0, 'data/evaluations/s', 1, 1 FROM made""",
    f"""INSERT INTO score (evaluation, metric, protocol, steps, direction, value, num_samples)
        WITH RECURSIVE m(k) AS (VALUES (0) UNION ALL SELECT k + 1 FROM m WHERE k + 1 < {NUM_METRICS})
        SELECT id, iif(k, 'metric_' || k, 'trajectory_error'), protocol, steps, 'lower',
            (random() & 0xFFFFFFFF) / 4294967296.0, 8 FROM made, m""",
)
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
        sqlite.create_function("hash", 2, lambda what, number: hash_json([what, number]), deterministic=True)
        for number, statement in enumerate(FILL, start=1):
            connection.exec_driver_sql(statement, {"num": num_checkpoints})
            advance(number, "statements")
    what = f"{num_checkpoints:,} checkpoints, {num_checkpoints * NUM_METRICS:,} scores"
    size, seconds = path.stat().st_size / 2**20, time.perf_counter() - started
    return {"registry": what, "measured": f"{size:.0f} MiB, filled in {seconds:.0f} s", "goal": "", "is_met": None}


def _ask(path: Path, key: str) -> Iterator[Figure]:
    question: dict[str, Any] = {"steps": 6, "protocol": PROTOCOL[:12]}
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
