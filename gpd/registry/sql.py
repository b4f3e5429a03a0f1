"""Questions in SQL: a SELECT over the tables and these views. They stand before it, so any registry has them."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from gpd.artifacts import UserError
from gpd.registry.printing import cell, make_table, write

MOST_ROWS = 1000
VIEWS = {
    "students": """
        SELECT a.content, a.name, c.stage, c.horizon, c.grid_steps, c.sampling_steps, c.base, c.iterations,
            c.samples_seen, c.forwards, a.size_bytes
        FROM checkpoint c JOIN artifact a ON a.content = c.content WHERE c.role = 'student'""",
    "scores": """
        SELECT a.content, a.name, a.kind, e.subject, s.metric, s.value, s.not_finite, s.spread, s.direction,
            s.num_samples, e.steps, e.solver, e.guidance_scale, e.forwards, e.protocol, e.is_complete, e.source
        FROM score s JOIN evaluation e ON e.id = s.evaluation JOIN artifact a ON a.content = e.checkpoint
        WHERE e.is_current""",
    "leaderboard": """
        SELECT rank() OVER (PARTITION BY protocol, steps, metric ORDER BY CASE direction
                WHEN 'lower' THEN value WHEN 'higher' THEN -value ELSE abs(value - 1) END) AS place,
            name, kind, subject, metric, value, spread, steps, solver, guidance_scale, forwards, protocol, content
        FROM scores WHERE is_complete AND value BETWEEN -1.7e308 AND 1.7e308
            AND (direction = 'higher' OR value >= 0)""",
    "runs": """
        SELECT r.started, r.ended, r.stage, r.exit_code, r.error, r.host, r.device, r.device_seconds, r.git_commit,
            r.git_is_dirty, r.flow_run_id, o.path, o.content, r.id
        FROM run r LEFT JOIN run_output o ON o.run = r.id""",
}  # and `lineage`, a table as it is: child, relation, parent, parent_kind


@dataclass(frozen=True)
class Answer:
    """What a SELECT returned."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    is_cut: bool


def ask(*, session: Session, query: str, limit: int = MOST_ROWS) -> Answer:
    """The first rows of a SELECT, VALUES or WITH. It stands in brackets inside another SELECT, where nothing can write.

    Raises:
        UserError: it is something else, or the database refuses it.
    """
    inner = query.strip().rstrip(";")
    if not re.match(r"(select|values|with)\b", inner, re.IGNORECASE):
        raise UserError(f"sql: {inner!r:.40} is not a SELECT; the registry is changed by its other commands only")
    views = ",".join(f"{name} AS ({select})" for name, select in VIEWS.items())
    whole = f"WITH {views} SELECT * FROM (\n{inner}\n) AS answer LIMIT :gpd_limit"
    escaped = re.sub(r":(?!gpd_limit$)", r"\\:", whole)  # a colon of the question is no parameter
    found = session.connection().execute(text(escaped), {"gpd_limit": limit + 1})
    rows = [tuple(row) for row in found]
    return Answer(list(found.keys()), rows[:limit], len(rows) > limit)


def print_as(form: str, answer: Answer) -> None:
    """Prints an answer as table, json, csv or md.

    Raises:
        UserError: another form.
    """
    if form not in FORMS:
        raise UserError(f"--format {form}: must be {', '.join(FORMS)}")
    FORMS[form](answer)


def _table(answer: Answer) -> None:
    rows = ([cell(name, value) for name, value in zip(answer.columns, row, strict=True)] for row in answer.rows)
    write(make_table(answer.columns, rows))


def _json(answer: Answer) -> None:
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    print(json.dumps(rows, ensure_ascii=False, indent=2, default=str))


def _csv(answer: Answer) -> None:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([answer.columns, *answer.rows])
    print(lines.getvalue(), end="")


def _markdown(answer: Answer) -> None:
    for row in [answer.columns, ["---"] * len(answer.columns), *answer.rows]:
        texts = ("" if value is None else str(value).replace("|", "\\|") for value in row)
        print("|", " | ".join(" ".join(one.split()) for one in texts), "|")


FORMS: dict[str, Callable[[Answer], None]] = {"table": _table, "json": _json, "csv": _csv, "md": _markdown}
