"""`gpd registry ...`: a command for each question of `gpd.registry`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gpd.artifacts import UserError, write_text

app = typer.Typer(help="Checkpoints, where they came from and how good they are.", no_args_is_help=True)

Url = Annotated[
    str | None,
    typer.Option("--url", help="database URL or SQLite file [env: GPD_REGISTRY_URL; default: registry.db]"),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Key = Annotated[str, typer.Argument(help="alias, abbreviated hash, or name such as k8")]
KeyOrAll = Annotated[str | None, typer.Argument(help="alias, hash or name; without it, everything")]
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
    counts = f"{result.num_new} new, {result.num_known} known, {result.num_problems} unusable"
    _print(result, as_json, f"registry: {counts} ({result.url})")
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
    done = f"is of revision {after}" if before == after else f"was raised from revision {before} to {after}"
    _print({"before": before, "after": after}, as_json, f"registry: {shown(parsed)} {done}")


@app.command()
def best(
    steps: Annotated[int, typer.Option(min=1, help="sampling steps")],
    metric: Annotated[str, typer.Option(help="name of a metric")] = "trajectory_error",
    protocol: Annotated[str | None, typer.Option(help="abbreviated hash; needed if there are several")] = None,
    where: Annotated[list[str] | None, typer.Option(help="key=value of its params or sampler; repeatable")] = None,
    role: Annotated[str, typer.Option(help="student, base or any")] = "student",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """The best checkpoint by a metric, measured completely and under one protocol."""
    from gpd.registry import best

    if role not in ("student", "base", "any"):
        raise UserError(f"--role {role}: must be student, base or any")
    question: Any = {"steps": steps, "metric": metric, "protocol": protocol, "role": role}
    with _open(url) as session:
        _print(best(session=session, where=_pairs(where or []), **question), as_json)


@app.command("list")
def list_(
    role: Annotated[str | None, typer.Option(help="student or base")] = None,
    steps: Annotated[int | None, typer.Option(help="only those made for this number of steps")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many at most")] = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Checkpoints, with their aliases."""
    from gpd.registry.questions import list_checkpoints

    with _open(url) as session:
        found, is_cut = list_checkpoints(session=session, role=role, steps=steps, limit=limit)
        _print(found, as_json)
    if is_cut:
        typer.echo("gpd: there are more: --limit", err=True)


@app.command()
def show(key: Key, url: Url = None, as_json: Json = False) -> None:
    """Everything about one checkpoint or data artefact."""
    from gpd.registry.questions import show

    with _open(url) as session:
        _print(show(session=session, key=key), as_json)


@app.command()
def card(key: Key, url: Url = None) -> None:
    """The model card of a student, as markdown that the hub renders."""
    from gpd.release.card import render_card
    from gpd.release.records import describe_recorded

    with _open(url) as session:
        typer.echo(render_card(describe_recorded(session=session, key=key)), nl=False)


@app.command()
def lineage(
    key: Key,
    down: Annotated[bool, typer.Option("--down", help="descendants instead of ancestors")] = False,
    limit: Annotated[int, typer.Option(min=1, help="how many edges at most")] = 5000,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """What it descends from, up to the teacher and the data, as a tree."""
    from gpd.registry import lineage

    with _open(url) as session:
        _print(lineage(session=session, key=key, direction="down" if down else "up", most_edges=limit), as_json)


@app.command()
def compare(a: Key, b: Key, url: Url = None, as_json: Json = False) -> None:
    """Metrics, params, data and code of two, side by side; a star if they differ."""
    from gpd.registry.questions import compare

    with _open(url) as session:
        _print(compare(session=session, a=a, b=b), as_json)


@app.command()
def history(
    key: KeyOrAll = None,
    limit: Annotated[int, typer.Option(min=1, help="how many of the latest events")] = 200,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Runs, promotions and remarks in the order of time; of an alias, who had it when and why."""
    from gpd.registry.questions import history

    with _open(url) as session:
        _print(history(session=session, key=key, limit=limit), as_json)


@app.command()
def resolve(
    spec: Annotated[str, typer.Argument(help="alias, best:STEPS, best:STEPS:METRIC, abbreviated hash or name")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """The hash and the folder of a checkpoint, if its files are here."""
    from gpd.registry.questions import find_checkpoint

    with _open(url) as session:
        found = find_checkpoint(spec, session=session)
        _print(found, as_json, f"{found.content} {found.path}")


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
    from gpd.registry import promote

    with _open(url, writes=True) as session:
        row = promote(session=session, key=key, alias=alias, because=because, by=by).model_dump()
    _print(row, as_json, f"registry: {alias} is now {row['content'][:12]}")


@app.command()
def withdraw(alias: str, because: Because, by: By = None, url: Url = None, as_json: Json = False) -> None:
    """Take an alias back without giving it to another."""
    from gpd.registry import withdraw

    with _open(url, writes=True) as session:
        row = withdraw(session=session, alias=alias, because=because, by=by).model_dump()
    _print(row, as_json, f"registry: nobody is {alias} now")


@app.command()
def remark(key: Key, text: str, by: By = None, url: Url = None, as_json: Json = False) -> None:
    """Keep a remark on a checkpoint or data artefact."""
    from gpd.registry import remark

    with _open(url, writes=True) as session:
        row = remark(session=session, key=key, text=text, by=by).model_dump()
    _print(row, as_json, f"registry: remark on {row['content'][:12]} kept")


@app.command()
def verify(key: KeyOrAll = None, url: Url = None, as_json: Json = False) -> None:
    """Hash the files again; exit status 1 if they are not what they were."""
    from gpd.registry import verify

    found = []
    with _open(url) as session:
        for one in verify(session=session, key=key):  # the next one may take minutes to read
            found.append(one)
            if not as_json:
                _print(one, False, f"{one.state:8} {one.content[:12]} {one.path}", *one.wrong)
    if as_json:
        _print(found, True)
    states = {one.state for one in found}
    if "damaged" in states or (key and "intact" not in states):
        raise typer.Exit(1)


@app.command("export")
def export(
    out: Annotated[Path | None, typer.Argument(help="file to write; without it, standard output")] = None,
    url: Url = None,
) -> None:
    """The whole registry as JSON lines."""
    from gpd.registry import export_lines, write_lines

    with _open(url) as session:
        lines = export_lines(session.connection())
        if out is None:
            for line in lines:
                typer.echo(line)
        else:
            write_lines(out, lines)
            typer.echo(f"registry: exported to {out}")


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="an export")], url: Url = None, as_json: Json = False) -> None:
    """Add the rows of an export that are not there yet; all of them or none."""
    from gpd.registry import create_or_check, import_lines, make_engine, registry_url, shown, writing

    parsed = registry_url(url)
    with file.open(encoding="utf-8", errors="replace") as lines, writing(make_engine(parsed)) as connection:
        create_or_check(connection, shown(parsed))
        num_new, num_read = import_lines(connection, lines, str(file))
    done = f"registry: {num_new} of {num_read} rows were new ({shown(parsed)})"
    _print({"new": num_new, "read": num_read}, as_json, done)


@app.command()
def html(
    out: Annotated[Path, typer.Option(help="where to write it")] = Path("registry.html"),
    url: Url = None,
) -> None:
    """One self-contained page: the graph from teacher to students, their metrics, and clips."""
    from gpd.registry import render_page

    with _open(url) as session:
        write_text(out, render_page(session=session))
    typer.echo(f"registry: {out}")


@contextmanager
def _open(url: str | None, *, writes: bool = False) -> Iterator[Any]:
    from gpd.registry import open_registry

    with open_registry(url, writes=writes) as session:
        yield session


def _print(answer: Any, as_json: bool, *lines: str) -> None:
    from gpd.registry import print_answer

    print_answer(answer, as_json, *lines)


def _pairs(where: list[str]) -> dict[str, str]:
    pairs = {}
    for item in where:
        key, sign, value = item.partition("=")
        if not sign or not key:
            raise UserError(f"--where {item}: expected key=value")
        pairs[key] = value
    return pairs
