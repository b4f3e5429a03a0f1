"""`gpd registry ...`: questions to the registry."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gpd.artifacts import UserError

app = typer.Typer(help="Checkpoints, where they came from and how good they are.", no_args_is_help=True)

Url = Annotated[
    str | None,
    typer.Option("--url", help="database URL or SQLite file [env: GPD_REGISTRY_URL; default: registry.db]"),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Key = Annotated[str, typer.Argument(help="alias, abbreviated hash, or name such as k8")]
By = Annotated[str | None, typer.Option("--by", help="who decides; else your user name")]
Because = Annotated[str, typer.Option("--because", help="why; the history keeps it")]


@app.callback()
def registry() -> None:
    """Checkpoints, where they came from and how good they are."""


@app.command()
def sync(url: Url = None, as_json: Json = False) -> None:
    """Record what this workspace's manifests, evaluations, runs and dvc.lock say."""
    from gpd.registry import sync

    result = sync(url=url)
    for problem in result.problems:
        typer.echo(f"gpd: {problem}", err=True)
    words = f"{result.num_new} new, {result.num_known} known, {result.num_problems} unusable"
    _print(result, as_json, lambda terminal: [f"registry: {words} ({result.url})"])
    if result.num_problems:
        raise typer.Exit(1)


@app.command()
def upgrade(url: Url = None, as_json: Json = False) -> None:
    """Raise an older registry to the version of this gpd, keeping its rows."""
    from gpd.registry import make_engine, must_exist, registry_url, shown, upgrade, writing

    parsed = registry_url(url)
    must_exist(parsed)
    with writing(make_engine(parsed)) as connection:
        before, after = upgrade(connection, shown(parsed))
    words = f"is of revision {after}" if before == after else f"was raised from revision {before} to {after}"
    _print({"before": before, "after": after}, as_json, lambda terminal: [f"registry: {shown(parsed)} {words}"])


@app.command()
def best(
    steps: Annotated[int, typer.Option(min=1, help="sampling steps")],
    metric: Annotated[str, typer.Option(help="name of a metric")] = "trajectory_error",
    protocol: Annotated[str | None, typer.Option(help="abbreviated hash; needed where there are several")] = None,
    where: Annotated[list[str] | None, typer.Option(help="key=value of its params or sampler; repeatable")] = None,
    role: Annotated[str, typer.Option(help="student, base or any")] = "student",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """The best checkpoint by a metric, measured completely and under one protocol."""
    from gpd.registry import best

    if role not in ("student", "base", "any"):
        raise UserError(f"--role {role}: must be student, base or any")
    with _session(url) as session:
        question: dict[str, Any] = {"steps": steps, "metric": metric, "protocol": protocol, "role": role}
        found = best(session=session, where=_pairs(where or []), **question)
        _print(found, as_json, lambda terminal: terminal.best_table(found))


@app.command("list")
def list_(
    role: Annotated[str | None, typer.Option(help="student or base")] = None,
    steps: Annotated[int | None, typer.Option(help="only those made for this number of steps")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many at most")] = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Checkpoints, with their aliases."""
    from gpd.registry import list_checkpoints

    with _session(url) as session:
        found, is_cut = list_checkpoints(session=session, role=role, steps=steps, limit=limit)
        _print(found, as_json, lambda terminal: terminal.list_table(found, is_cut))


@app.command()
def show(key: Key, url: Url = None, as_json: Json = False) -> None:
    """Everything about one checkpoint or data artefact."""
    from gpd.registry import find_artifact, show

    with _session(url) as session:
        found = show(session=session, content=find_artifact(key=key, session=session).content)
        _print(found, as_json, lambda terminal: terminal.show_tables(found))


@app.command()
def lineage(
    key: Key,
    down: Annotated[bool, typer.Option("--down", help="descendants instead of ancestors")] = False,
    limit: Annotated[int, typer.Option(min=1, help="how many edges at most")] = 5000,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """What it descends from, up to the teacher and the data, as a tree."""
    from gpd.registry import find_artifact, lineage

    with _session(url) as session:
        content = find_artifact(key=key, session=session).content
        found = lineage(session=session, content=content, direction="down" if down else "up", most_edges=limit)
        _print(found, as_json, lambda terminal: terminal.lineage_tree(found))


@app.command()
def compare(a: Key, b: Key, url: Url = None, as_json: Json = False) -> None:
    """Metrics, params, data and code of two, side by side; a star where they differ."""
    from gpd.registry import compare, find_artifact

    with _session(url) as session:
        one, other = (find_artifact(key=key, session=session).content for key in (a, b))
        found = compare(session=session, a=one, b=other)
        _print(found, as_json, lambda terminal: terminal.compare_tables(found))


@app.command()
def history(
    key: Annotated[str | None, typer.Argument(help="alias, hash or name; without it, everything")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many of the latest events")] = 200,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Runs, promotions and remarks in the order of time; of an alias, who had it when and why."""
    from gpd.registry import find_artifact, history

    with _session(url) as session:
        events = history(session=session, alias=key, limit=limit) if key else history(session=session, limit=limit)
        if key and not events:
            content = find_artifact(key=key, session=session).content
            events = history(session=session, content=content, limit=limit)
        _print(events, as_json, lambda terminal: [terminal.history_table(events)])


@app.command()
def promote(
    key: Key,
    alias: Annotated[str, typer.Option(help="champion, staging, ...")],
    because: Because,
    by: By = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Give an alias to a checkpoint."""
    from gpd.registry import find_artifact, promote
    from gpd.registry.finding import CHECKPOINT_KINDS

    with _session(url, writes=True) as session:
        artifact = find_artifact(key=key, session=session, kinds=CHECKPOINT_KINDS)
        row = promote(session=session, content=artifact.content, alias=alias, because=because, by=by).model_dump()
    _print(row, as_json, lambda terminal: [f"registry: {alias} is now {row['content'][:12]}"])


@app.command()
def withdraw(alias: str, because: Because, by: By = None, url: Url = None, as_json: Json = False) -> None:
    """Take an alias back without giving it to another."""
    from gpd.registry import withdraw

    with _session(url, writes=True) as session:
        row = withdraw(session=session, alias=alias, because=because, by=by).model_dump()
    _print(row, as_json, lambda terminal: [f"registry: nobody is {alias} now"])


@app.command()
def resolve(
    spec: Annotated[str, typer.Argument(help="alias, best:STEPS, best:STEPS:METRIC, abbreviated hash or name")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """The hash and the folder of a checkpoint, if its files are here."""
    from gpd.registry import find_checkpoint

    with _session(url) as session:
        found = find_checkpoint(spec, session=session)
        _print(found, as_json, lambda terminal: [f"{found.content} {found.path}"])


@app.command()
def remark(key: Key, text: str, by: By = None, url: Url = None, as_json: Json = False) -> None:
    """Keep a remark on a checkpoint or data artefact."""
    from gpd.registry import find_artifact, remark

    with _session(url, writes=True) as session:
        content = find_artifact(key=key, session=session).content
        row = remark(session=session, content=content, text=text, by=by).model_dump()
    _print(row, as_json, lambda terminal: [f"registry: remark on {content[:12]} kept"])


@app.command()
def verify(
    key: Annotated[str | None, typer.Argument(help="alias, hash or name; without it, everything")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Hash the files again; exit status 1 where they are not what they were."""
    from gpd.registry import find_artifact, verify

    with _session(url) as session:
        content = find_artifact(key=key, session=session).content if key else None
        found = []
        for one in verify(session=session, content=content):
            found.append(one)
            if not as_json:
                _print(one, False, lambda terminal, one=one: terminal.verify_lines(one))
    if as_json:
        _print(found, True, lambda terminal: [])
    is_intact = any(one.state == "intact" for one in found) if key else True
    if any(one.state == "damaged" for one in found) or not is_intact:
        raise typer.Exit(1)


@app.command("export")
def export(
    out: Annotated[Path | None, typer.Argument(help="file to write; without it, standard output")] = None,
    url: Url = None,
) -> None:
    """The whole registry as JSON lines."""
    from gpd.registry import export_lines

    with _session(url) as session:
        lines = export_lines(session.connection())
        if out is None:
            for line in lines:
                typer.echo(line)
            return
        partial = out.with_name(f".{out.name}.partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
    typer.echo(f"registry: exported to {out}")


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="an export")], url: Url = None, as_json: Json = False) -> None:
    """Add the rows of an export that are not there yet; all of them or none."""
    from gpd.registry import create_or_check, import_lines, make_engine, registry_url, shown, writing

    parsed = registry_url(url)
    with file.open(encoding="utf-8", errors="replace") as lines, writing(make_engine(parsed)) as connection:
        create_or_check(connection, shown(parsed))
        num_new, num_read = import_lines(connection, lines, str(file))
    words = f"registry: {num_new} of {num_read} rows were new ({shown(parsed)})"
    _print({"new": num_new, "read": num_read}, as_json, lambda terminal: [words])


@app.command()
def html(
    out: Annotated[Path, typer.Option(help="where to write it")] = Path("registry.html"),
    url: Url = None,
) -> None:
    """One self-contained page: the graph from teacher to students, their metrics, and clips."""
    from gpd.artifacts import write_text
    from gpd.registry import render_page

    with _session(url) as session:
        write_text(out, render_page(session=session))
    typer.echo(f"registry: {out}")


@contextmanager
def _session(url: str | None, *, writes: bool = False) -> Iterator[Any]:
    from gpd.registry import open_registry

    with open_registry(url, writes=writes) as session:
        yield session


def _pairs(where: list[str]) -> dict[str, str]:
    pairs = {}
    for item in where:
        key, sign, value = item.partition("=")
        if not sign or not key:
            raise UserError(f"--where {item}: expected key=value")
        pairs[key] = value
    return pairs


def _print(found: Any, as_json: bool, make_lines: Any) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2, default=_plain))
        return
    from gpd.registry import terminal

    terminal.write(*make_lines(terminal))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return {key: getattr(value, key) for key in value.__dataclass_fields__} if is_dataclass(value) else str(value)
