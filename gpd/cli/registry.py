"""`gpd registry ...`: a command for each question of `gpd.registry`."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gpd.artifacts import write_text

app = typer.Typer(help="Checkpoints, where they came from and how good they are.", no_args_is_help=True)

Url = Annotated[
    str | None,
    typer.Option("--url", help="database URL or SQLite file [env: GPD_REGISTRY_URL; default: registry.db]"),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Key = Annotated[str, typer.Argument(help="alias, abbreviated hash, or name such as k8")]
KeyOrAll = Annotated[str | None, typer.Argument(help="alias, hash or name; without it, everything")]
Where = Annotated[
    list[str],
    typer.Option(
        metavar="CONDITION",
        help="over columns, metrics and params: \"steps <= 6 and trajectory_error < .2 or alias = 'champion'\"; "
        "repeatable, all must hold",
    ),
]
ProtocolKey = Annotated[
    str | None, typer.Option(help="abbreviated hash; else that of this workspace's evaluations, or the most used")
]
By = Annotated[str | None, typer.Option("--by", help="who decides; else your user name")]
Force = Annotated[bool, typer.Option("--force", help="move a protected alias; promote a collapsed student")]
Because = Annotated[str, typer.Option("--because", help="why; the history keeps it")]


@app.callback()
def registry() -> None:
    """Checkpoints, where they came from and how good they are."""


def question(name: str | None = None, *, writes: bool = False, says: str = "") -> Callable[[Callable[..., Any]], None]:
    """Makes a command of a signature: it asks the function of this name in `gpd.registry`, in a session of its own.

    --url and --json are added to the signature's options. `says` is what is printed instead of a table, with fields of
    the answer in braces.
    """

    def register(door: Callable[..., Any]) -> None:
        def command(url: str | None, as_json: bool, **words: Any) -> None:
            from gpd import registry

            with registry.open_registry(url, writes=writes) as session:
                answer = getattr(registry, door.__name__)(session=session, **words)
            registry.print_answer(answer, as_json, *([says.format_map(vars(answer))] if says else []))

        own, added = inspect.signature(door), inspect.signature(_of_every_question)
        both = [*own.parameters.values(), *added.parameters.values()]
        command.__signature__ = own.replace(parameters=both)  # type: ignore[attr-defined]  # what typer reads
        app.command(name or door.__name__, help=door.__doc__)(command)

    return register


def _of_every_question(*, url: Url = None, as_json: Json = False) -> None: ...


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
    steps: Annotated[int, typer.Option(min=1, help="sampling steps")],
    metric: Annotated[str, typer.Option(help="name of a metric")] = "trajectory_error",
    protocol: ProtocolKey = None,
    where: Where = (),  # type: ignore[assignment]  # typer makes a list of it
    role: Annotated[str, typer.Option(help="student, base or any")] = "student",
    exportable: Annotated[
        bool, typer.Option("--exportable", help="only those that `gpd export` takes as they are")
    ] = False,
) -> None:
    """The best checkpoint by a metric, measured completely and under one protocol."""


@question("list")
def list_checkpoints(
    role: Annotated[str | None, typer.Option(help="student or base")] = None,
    steps: Annotated[int | None, typer.Option(help="only those made for this number of steps")] = None,
    where: Where = (),  # type: ignore[assignment]
    protocol: ProtocolKey = None,
    limit: Annotated[int, typer.Option(min=1, help="how many at most")] = 50,
) -> None:
    """Checkpoints, with their aliases."""


@question()
def show(key: Key) -> None:
    """Everything about one checkpoint or data artefact."""


@app.command()
def card(key: Key, url: Url = None) -> None:
    """The model card of a student, as markdown that the hub renders."""
    from gpd.registry import open_registry
    from gpd.release.card import render_card
    from gpd.release.records import describe_recorded

    with open_registry(url) as session:
        typer.echo(render_card(describe_recorded(session=session, key=key)), nl=False)


@question()
def lineage(
    key: Key,
    down: Annotated[bool, typer.Option("--down", help="descendants instead of ancestors")] = False,
    limit: Annotated[int, typer.Option(min=1, help="how many edges at most")] = 5000,
) -> None:
    """What it descends from, up to the teacher and the data, as a tree."""


@question()
def compare(a: Key, b: Key) -> None:
    """Metrics, params, data and code of two, side by side; a star if they differ."""


@question()
def history(
    key: KeyOrAll = None,
    limit: Annotated[int, typer.Option(min=1, help="how many of the latest events")] = 200,
) -> None:
    """Runs, promotions and remarks in the order of time; of an alias, who had it when and why."""


@question("resolve", says="{content} {path}")
def find_checkpoint(
    spec: Annotated[str, typer.Argument(help="alias, best:STEPS:METRIC@PROTOCOL or just best:STEPS, hash or name")],
) -> None:
    """The hash and the folder of a checkpoint, if its files are here."""


@app.command()
def pack(
    key: Key,
    to: Annotated[Path, typer.Option(help="the folder to write NAME-HASH.tar to")] = Path("release"),
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write a student to one file for others who use gpd: its folder, its card, its figures."""
    from gpd.registry import open_registry, print_answer
    from gpd.release.archive import pack

    with open_registry(url) as session:
        packed = pack(session=session, key=key, to=to)
    says = f"registry: {packed.path}, {packed.size_bytes / 2**20:,.1f} MiB; whoever takes it:"
    command = f"gpd registry fetch {packed.path} --content {packed.content}"
    print_answer(packed, as_json, says, f"  {command}")


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(help="an archive (a path, https://..), a folder, an alias or a hash")],
    content: Annotated[str | None, typer.Option(help="how its hash must begin; else it is not taken")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Take a student that others have published: every byte checked, recorded, ready for --checkpoint."""
    from gpd.registry import print_answer
    from gpd.release.fetch import fetch

    done = fetch(source, content=content, url=url)
    for problem in done.synced.problems:
        typer.echo(f"gpd: {problem}", err=True)
    says = f"registry: {done.name} {'is' if done.is_new else 'was'} at {done.path}, every byte as its hash says"
    print_answer(done, as_json, says, f"  gpd generate --checkpoint {done.content[:12]} --prompt ..")


@question(writes=True, says="registry: {alias} is now {content:.12}")
def promote(
    key: Key,
    alias: Annotated[str, typer.Option(help="champion, staging, ...")],
    because: Because,
    by: By = None,
    force: Force = False,
) -> None:
    """Give an alias to a checkpoint. Then the command in GPD_REGISTRY_HOOK runs, if there is one."""


@question(writes=True, says="registry: nobody is {alias} now")
def withdraw(alias: str, because: Because, by: By = None, force: Force = False) -> None:
    """Take an alias back without giving it to another."""


@question(writes=True, says="registry: {alias} protected: {is_protected}")
def protect(
    alias: str,
    because: Because,
    by: By = None,
    off: Annotated[bool, typer.Option("--off", help="end the protection")] = False,
) -> None:
    """Let an alias be moved with --force only."""


@question(writes=True, says="registry: {content:.12} is described")
def describe(key: Key, text: str, by: By = None) -> None:
    """Say what a checkpoint or data artefact is; the latest description counts."""


@question(writes=True, says="registry: {kind} {text} on {content:.12}")
def tag(
    key: Key,
    tag: str,
    by: By = None,
    remove: Annotated[bool, typer.Option("--remove", help="take it off")] = False,
) -> None:
    """Put a tag on a checkpoint or data artefact; `list --where "tag = 'keep'"` finds it."""


@question(writes=True, says="registry: remark on {content:.12} kept")
def remark(key: Key, text: str, by: By = None) -> None:
    """Keep a remark on a checkpoint or data artefact."""


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="a SELECT over tables and views: leaderboard, students, scores, runs")],
    form: Annotated[str, typer.Option("--format", help="table, json, csv or md")] = "table",
    limit: Annotated[int, typer.Option(min=1, help="how many rows at most")] = 1000,
    url: Url = None,
) -> None:
    """Ask in SQL; nothing can be written."""
    from gpd.registry import open_registry
    from gpd.registry.sql import ask, print_as

    with open_registry(url) as session:
        answer = ask(session=session, query=query, limit=limit)
    print_as(form, answer)
    if answer.is_cut:
        typer.echo("gpd: there are more: --limit", err=True)


@app.command()
def verify(key: KeyOrAll = None, url: Url = None, as_json: Json = False) -> None:
    """Hash the files again, and compare all rows with their hashes and documents; exit status 1 on damage."""
    from gpd.registry import check_rows, open_registry, print_answer, verify
    from gpd.registry.intact import MENDED_BY

    found, rows = [], []
    with open_registry(url) as session:
        for row in check_rows(session) if key is None else ():
            rows.append(row)
            if not as_json:
                print_answer(row, False, f"damaged  {row}")
        for one in verify(session=session, key=key):  # the next one may take minutes to read
            found.append(one)
            if not as_json:
                print_answer(one, False, f"{one.state:8} {one.content[:12]} {one.path}", *one.wrong)
    if as_json:
        print_answer([*rows, *found], True)
    if rows:
        typer.echo(f"gpd: damaged rows: {MENDED_BY}", err=True)
    states = {one.state for one in found}
    if rows or "damaged" in states or (key and "intact" not in states):
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
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free")] = 8001,
    url: Url = None,
) -> None:
    """The registry in a browser, by Datasette: read-only, to this machine alone."""
    from gpd.registry.web import serve

    serve(url, port)


@app.command()
def html(
    out: Annotated[Path, typer.Option(help="where to write it")] = Path("registry.html"),
    url: Url = None,
) -> None:
    """One self-contained page: the graph from teacher to students, their metrics, and clips."""
    from gpd.evaluation.metrics import METRICS
    from gpd.registry import open_registry, render_page
    from gpd.registry.page import ShownMetric

    headlines_first = sorted(METRICS.values(), key=lambda metric: metric.headline is None)
    metrics = [ShownMetric(one.name, one.label, one.meaning, one.headline is not None) for one in headlines_first]
    with open_registry(url) as session:
        write_text(out, render_page(session=session, metrics=metrics))
    typer.echo(f"registry: {out}")
