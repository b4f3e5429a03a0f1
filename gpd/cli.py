"""The `gpd` command. Heavy imports happen inside commands, so that `gpd --help` answers at once."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gpd.artifacts import UserError
from gpd.commands.registry import app as registry_app

app = typer.Typer(
    name="gpd",
    help="Guided Progressive Distillation: Wan2.1 in 6 steps instead of 48 x 2, reproducibly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tiny_app = typer.Typer(help="The miniature Wan that the default profile distils.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure speed and memory beside their goals.")
app.add_typer(tiny_app, name="tiny")
app.add_typer(bench_app, name="bench")
app.add_typer(registry_app, name="registry")


def _params() -> Any:
    from gpd.params import load_params

    return load_params()


@app.command()
def use(profile: Annotated[str, typer.Argument(help="tiny-wan, wan2.1-1.3b or wan2.1-14b")]) -> None:
    """Write params.yaml for a model."""
    from gpd.commands import use

    use.run(profile)


@app.command()
def fetch() -> None:
    """Check the base model's weights (download them where the profile names a hub) and write their manifest."""
    from gpd.commands import fetch

    fetch.run(_params())


@app.command()
def prepare() -> None:
    """DVC stage: collect and check prompts and clips."""
    from gpd.commands import prepare

    prepare.run(_params())


@app.command()
def encode(
    shard: Annotated[str, typer.Option(help="i/n: only the shards of process i of n, to run several")] = "0/1",
) -> None:
    """DVC stage: text embeddings, clip latents and teacher roll-outs as shards."""
    from gpd.commands import encode

    encode.run(_params(), shard)


@app.command()
def reference() -> None:
    """DVC stage: the guided teacher on the base grid, which everything is measured against."""
    from gpd.commands import reference

    reference.run(_params())


@app.command()
def distill(stage: Annotated[str, typer.Argument(help="a key of distill.stages, such as k1")]) -> None:
    """DVC stage: train one student."""
    from gpd.commands import distill

    distill.run(_params(), stage)


@app.command()
def evaluate(
    subject: Annotated[str | None, typer.Argument(help="teacher, or a key of distill.stages")] = None,
    clips: Annotated[Path | None, typer.Option(help="a folder of mp4s to measure, beside --reference")] = None,
    reference: Annotated[Path | None, typer.Option(help="a folder of mp4s to measure against")] = None,
    protocol: Annotated[str | None, typer.Option(help="vbench: the published benchmark")] = None,
    out: Annotated[Path | None, typer.Option(help="--reference: the JSON to write; vbench: the folder")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="vbench: instead of a subject, as in `gpd generate`")] = None,
    dimension: Annotated[list[str] | None, typer.Option(help="vbench: one of its 16; may be repeated")] = None,
    num_prompts: Annotated[int | None, typer.Option(min=1, help="vbench: the first so many of a dimension")] = None,
    shard: Annotated[str | None, typer.Option(help="vbench: i/n, sample as process i of n and score nothing")] = None,
    full_info: Annotated[Path | None, typer.Option(help="vbench: its VBench_full_info.json")] = None,
    sampling_prompts: Annotated[Path | None, typer.Option(help="vbench: extended prompts, one a line")] = None,
    environment: Annotated[Path | None, typer.Option(help="vbench: where its packages lie; made if missing")] = None,
    static_filter: Annotated[
        bool | None, typer.Option(help="vbench: 25 clips for temporal_flickering, of which its filter keeps 5")
    ] = None,
) -> None:
    """DVC stage: measure the teacher's baselines or a student against the reference. Or any clips; or by VBench."""
    from gpd.commands import evaluate_choice

    given = {name: value for name, value in locals().items() if name != "evaluate_choice" and value is not None}
    evaluate_choice.run(_params, given)


@app.command()
def ablate(
    only: Annotated[str, typer.Option(help="variants of data/ablation/grid.yaml, separated by commas; else all")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="runs at once")] = 1,
    table: Annotated[bool, typer.Option("--table", help="run nothing, write table and page of what is there")] = False,
) -> None:
    """Run the declared ablation over seeds; finished runs are kept. Writes data/ablation/."""
    from gpd.commands import ablate

    names = [name.strip() for name in only.split(",") if name.strip()]
    ablate.run(_params(), only=names, jobs=jobs, is_table_only=table)


@app.command()
def report() -> None:
    """DVC stage: one self-contained HTML page."""
    from gpd.commands import report

    report.run(_params())


@app.command()
def table() -> None:
    """Print the students beside the teacher, and where the page is."""
    from gpd.commands import report

    report.show(_params())


@app.command()
def generate(
    prompt: Annotated[str, typer.Option(help="what the clip shall show")],
    out: Annotated[Path, typer.Option(help="the mp4 to write")] = Path("clip.mp4"),
    student: Annotated[str | None, typer.Option(help="a stage's student, such as k8; else the last stage's")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="a folder, or a question to the registry: champion, best:6, a hash")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the noise")] = 0,
) -> None:
    """Make a clip with a student."""
    from gpd.commands import generate

    generate.run(_params(), prompt=prompt, out=out, student=student, checkpoint=checkpoint, seed=seed)


@bench_app.callback(invoke_without_command=True)
def bench(context: typer.Context) -> None:
    """Measure speed and memory beside their goals."""
    if context.invoked_subcommand is None:
        from gpd.commands import bench

        bench.run(_params())


@bench_app.command("registry")
def bench_registry() -> None:
    """Measure the registry with 100,000 checkpoints."""
    from gpd.commands import bench_registry

    if not bench_registry.run():
        raise typer.Exit(1)


@tiny_app.command("train")
def tiny_train(
    out: Annotated[Path, typer.Option(help="where the finished pipeline goes")] = Path("data/tiny-wan"),
) -> None:
    """Train the miniature from nothing; goes on where an earlier call was stopped."""
    from gpd.commands import tiny_train

    tiny_train.run(out)


@tiny_app.command("clips")
def tiny_clips(
    out: Annotated[Path, typer.Argument(help="folder for the mp4s and captions.jsonl")],
    num: Annotated[int, typer.Option(min=1, help="how many")] = 64,
    held_out: Annotated[bool, typer.Option("--held-out", help="of the captions kept out of training")] = False,
) -> None:
    """Draw procedural clips with captions."""
    from gpd.commands import tiny_clips

    tiny_clips.run(out, num, held_out)


def main() -> None:
    """Entry point: a user's mistake is one line and exit status 2."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"gpd: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"gpd: {name}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
