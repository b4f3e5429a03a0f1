"""Which student is better, and than what, beside what the stages measure."""

from pathlib import Path
from typing import Annotated

import typer

from gpd.cli.before import alone, read_params


def compare(
    clips: Annotated[
        str, typer.Argument(help="a folder of clips to measure; a subject such as k8; an alias or a hash")
    ],
    reference: Annotated[str, typer.Argument(help="what it is set against, likewise")],
    out: Annotated[Path, typer.Option(help="the JSON to write; the page has its name")] = Path("comparison.json"),
    page: Annotated[bool, typer.Option("--page", help="write a page of both sides, players in step")] = False,
    opens: Annotated[bool, typer.Option("--open", help="write the page and open it in a browser")] = False,
    max_broken_share: Annotated[
        float, typer.Option(min=0, max=1, help="of the clips may be unreadable or unlike their pair, and are left out")
    ] = 0.05,
) -> None:
    """Measure any two folders of clips, paired where their file names are the same; or show two sides on one page."""
    import webbrowser

    from gpd.evaluation import compare

    if not (page or opens):
        compare.run(Path(clips), Path(reference), out, max_broken_share)
        return
    written = compare.run_beside(clips, reference, out, max_broken_share)
    if opens:
        webbrowser.open(written.resolve().as_uri())


def vbench(
    subject: Annotated[str | None, typer.Argument(help="teacher, or a key of distill.stages")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="instead of a subject, as in `gpd generate`")] = None,
    clips: Annotated[Path | None, typer.Option(help="clips made elsewhere, by VBench's names; samples none")] = None,
    out: Annotated[Path | None, typer.Option(help="the folder to write")] = None,
    dimension: Annotated[list[str] | None, typer.Option(help="one of its 16; may be repeated")] = None,
    num_prompts: Annotated[int | None, typer.Option(min=1, help="the first so many of a dimension")] = None,
    shard: Annotated[str | None, typer.Option(help="i/n: sample as process i of n and score nothing")] = None,
    full_info: Annotated[Path | None, typer.Option(help="its VBench_full_info.json")] = None,
    sampling_prompts: Annotated[Path | None, typer.Option(help="extended prompts, one a line")] = None,
    environment: Annotated[Path | None, typer.Option(help="where its packages lie; made if missing")] = None,
    static_filter: Annotated[
        bool, typer.Option(help="25 clips for temporal_flickering, of which its filter keeps 5")
    ] = True,
) -> None:
    """Sample and score by VBench, the published benchmark."""
    from gpd.vbench import benchmark

    request = benchmark.Request(
        subject=subject,
        checkpoint=checkpoint,
        dimensions=list(dict.fromkeys(dimension or [])),
        num_prompts=num_prompts,
        shard=shard,
        full_info=full_info,
        clips=clips,
        out=out,
        environment=environment or benchmark.ENVIRONMENT,
        static_filter=static_filter,
        sampling_prompts=sampling_prompts,
    )
    benchmark.run(read_params, request)


def ablate(
    only: Annotated[str, typer.Option(help="variants of data/ablation/grid.yaml, separated by commas; else all")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="runs at once")] = 1,
    table: Annotated[bool, typer.Option("--table", help="run nothing, write table and page of what is there")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="run nothing, print each run's overrides of params as JSON")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="run nothing, keep results that only the code has changed of")
    ] = False,
) -> None:
    """Run the declared ablation over seeds; finished runs are kept. Writes data/ablation/."""
    from gpd.ablation import ablate

    names = [name.strip() for name in only.split(",") if name.strip()]
    if plan:
        ablate.show_plan(read_params(), only=names)
        return
    with alone("ablate"):
        ablate.run(read_params(), only=names, jobs=jobs, is_table_only=table, is_accepting=accept)


def floors() -> None:
    """Measure what metrics read of the reference itself, of other noise and of real clips: once for all students."""
    from gpd.evaluation import floors as measured

    params = read_params()
    with alone("floors"):
        measured.run(params)


def table(has_all: Annotated[bool, typer.Option("--all", help="every metric, one a row")] = False) -> None:
    """Print the students beside the teacher, and where the page is."""
    from gpd.report import report

    report.show(read_params(), has_all=has_all)
