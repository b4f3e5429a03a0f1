"""`gpd registry ...`: a command for each question of `gpd.registry`."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

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


def question(name: str | None = None, *, writes: bool = False, says: str = "") -> Callable[[Callable[..., Any]], None]:
    """Makes a command of a function that takes an open session and returns an answer.

    The command has the function's other parameters, --url and --json. `says` is what it prints instead of a table, with
    fields of the answer in braces.
    """

    def register(ask: Callable[..., Any]) -> None:
        def command(url: str | None, as_json: bool, **words: Any) -> None:
            from gpd.registry import open_registry, print_answer

            with open_registry(url, writes=writes) as session:
                answer = ask(session, **words)
            fields = answer if isinstance(answer, dict) or not says else vars(answer)
            print_answer(answer, as_json, *([says.format_map(fields)] if says else []))

        _, *own = inspect.signature(ask).parameters.values()
        both = {"url": (Url, None), "as_json": (Json, False)}
        option = inspect.Parameter.KEYWORD_ONLY
        added = [inspect.Parameter(key, option, annotation=kind, default=value) for key, (kind, value) in both.items()]
        command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # what typer reads
        app.command(name or ask.__name__, help=ask.__doc__)(command)

    return register


@app.command()
def sync(url: Url = None, as_json: Json = False) -> None:
    """Record what this workspace's manifests, evaluations, runs and dvc.lock say."""
    from gpd.registry import print_answer, sync

    result = sync(url=url)
    for problem in result.problems:
        typer.echo(f"gpd: {problem}", err=True)
    counts = f"{result.num_new} new, {result.num_known} known, {result.num_problems} unusable"
    print_answer(result, as_json, f"registry: {counts} ({result.url})")
    if result.num_problems:
        raise typer.Exit(1)


@app.command()
def upgrade(url: Url = None, as_json: Json = False) -> None:
    """Raise an older registry to the version of this gpd, keeping its rows."""
    from gpd.registry import print_answer, upgrade

    done = upgrade(url)
    print_answer(done, as_json, f"registry: of revision {done.after}, before {done.before}")


@question()
def best(
    session: Any,
    steps: Annotated[int, typer.Option(min=1, help="sampling steps")],
    metric: Annotated[str, typer.Option(help="name of a metric")] = "trajectory_error",
    protocol: Annotated[str | None, typer.Option(help="abbreviated hash; needed if there are several")] = None,
    where: Annotated[list[str] | None, typer.Option(help="key=value of its params or sampler; repeatable")] = None,
    role: Annotated[str, typer.Option(help="student, base or any")] = "student",
) -> Any:
    """The best checkpoint by a metric, measured completely and under one protocol."""
    from gpd.registry import best

    if role not in ("student", "base", "any"):
        raise UserError(f"--role {role}: must be student, base or any")
    asked: Any = {"steps": steps, "metric": metric, "protocol": protocol, "role": role}
    return best(session=session, where=dict(map(_pair, where or [])), **asked)


def _pair(word: str) -> tuple[str, str]:
    key, sign, value = word.partition("=")
    if not sign or not key:
        raise UserError(f"--where {word}: expected key=value")
    return key, value


@question("list")
def list_(
    session: Any,
    role: Annotated[str | None, typer.Option(help="student or base")] = None,
    steps: Annotated[int | None, typer.Option(help="only those made for this number of steps")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many at most")] = 50,
) -> Any:
    """Checkpoints, with their aliases."""
    from gpd.registry import list_checkpoints

    found, is_cut = list_checkpoints(session=session, role=role, steps=steps, limit=limit)
    if is_cut:
        typer.echo("gpd: there are more: --limit", err=True)
    return found


@question()
def show(session: Any, key: Key) -> Any:
    """Everything about one checkpoint or data artefact."""
    from gpd.registry import show

    return show(session=session, key=key)


@question()
def lineage(
    session: Any,
    key: Key,
    down: Annotated[bool, typer.Option("--down", help="descendants instead of ancestors")] = False,
    limit: Annotated[int, typer.Option(min=1, help="how many edges at most")] = 5000,
) -> Any:
    """What it descends from, up to the teacher and the data, as a tree."""
    from gpd.registry import lineage

    direction: Literal["up", "down"] = "down" if down else "up"
    return lineage(session=session, key=key, direction=direction, most_edges=limit)


@question()
def compare(session: Any, a: Key, b: Key) -> Any:
    """Metrics, params, data and code of two, side by side; a star if they differ."""
    from gpd.registry import compare

    return compare(session=session, a=a, b=b)


@question()
def history(
    session: Any,
    key: KeyOrAll = None,
    limit: Annotated[int, typer.Option(min=1, help="how many of the latest events")] = 200,
) -> Any:
    """Runs, promotions and remarks in the order of time; of an alias, who had it when and why."""
    from gpd.registry import history

    return history(session=session, key=key, limit=limit)


@question(says="{content} {path}")
def resolve(
    session: Any,
    spec: Annotated[str, typer.Argument(help="alias, best:STEPS, best:STEPS:METRIC, abbreviated hash or name")],
) -> Any:
    """The hash and the folder of a checkpoint, if its files are here."""
    from gpd.registry import find_checkpoint

    return find_checkpoint(spec, session=session)


@question(writes=True, says="registry: {alias} is now {content:.12}")
def promote(
    session: Any,
    key: Key,
    alias: Annotated[str, typer.Option(help="champion, staging, ...")],
    because: Because,
    by: By = None,
) -> Any:
    """Give an alias to a checkpoint."""
    from gpd.registry import promote

    return promote(session=session, key=key, alias=alias, because=because, by=by).model_dump()


@question(writes=True, says="registry: nobody is {alias} now")
def withdraw(session: Any, alias: str, because: Because, by: By = None) -> Any:
    """Take an alias back without giving it to another."""
    from gpd.registry import withdraw

    return withdraw(session=session, alias=alias, because=because, by=by).model_dump()


@question(writes=True, says="registry: remark on {content:.12} kept")
def remark(session: Any, key: Key, text: str, by: By = None) -> Any:
    """Keep a remark on a checkpoint or data artefact."""
    from gpd.registry import remark

    return remark(session=session, key=key, text=text, by=by).model_dump()


@app.command()
def verify(key: KeyOrAll = None, url: Url = None, as_json: Json = False) -> None:
    """Hash the files again; exit status 1 if they are not what they were."""
    from gpd.registry import open_registry, print_answer, verify

    found = []
    with open_registry(url) as session:
        for one in verify(session=session, key=key):  # the next one may take minutes to read
            found.append(one)
            if not as_json:
                print_answer(one, False, f"{one.state:8} {one.content[:12]} {one.path}", *one.wrong)
    if as_json:
        print_answer(found, True)
    states = {one.state for one in found}
    if "damaged" in states or (key and "intact" not in states):
        raise typer.Exit(1)


@app.command("export")
def export(
    out: Annotated[Path | None, typer.Argument(help="file to write; without it, standard output")] = None,
    url: Url = None,
) -> None:
    """The whole registry as JSON lines."""
    from gpd.registry import export_lines, open_registry

    with open_registry(url) as session:
        lines = export_lines(session.connection())
        if out is None:
            for line in lines:
                typer.echo(line)
        else:
            write_text(out, "".join(f"{line}\n" for line in lines))
            typer.echo(f"registry: exported to {out}")


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="an export")], url: Url = None, as_json: Json = False) -> None:
    """Add the rows of an export that are not there yet; all of them or none."""
    from gpd.registry import import_file, print_answer

    done = import_file(file, url)
    print_answer(done, as_json, f"registry: {done.new} of {done.read} rows were new ({done.url})")


@app.command()
def html(
    out: Annotated[Path, typer.Option(help="where to write it")] = Path("registry.html"),
    url: Url = None,
) -> None:
    """One self-contained page: the graph from teacher to students, their metrics, and clips."""
    from gpd.registry import open_registry, render_page

    with open_registry(url) as session:
        write_text(out, render_page(session=session))
    typer.echo(f"registry: {out}")
