"""`gpd bench`: speed and memory beside their goals."""

from pathlib import Path
from typing import Annotated

import typer

from gpd.cli.before import read_params

app = typer.Typer(help="Measure speed and memory beside their goals.")


@app.callback(invoke_without_command=True)
def bench(context: typer.Context) -> None:
    """Measure speed and memory beside their goals."""
    if context.invoked_subcommand is None:
        from gpd.distillation import bench

        bench.run(read_params())


@app.command("train")
def bench_train(
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Measure training: forwards a second, the step beside its bare forwards, the optimiser's share."""
    from gpd.distillation import bench

    bench.run_train(read_params(), as_json)


@app.command("wan")
def bench_wan(
    profile: Annotated[str, typer.Option(help="whose architecture; a wrong name lists them")] = "wan2.1-1.3b",
    frames: Annotated[int | None, typer.Option(min=1, help="4k + 1; these four are else the profile's")] = None,
    height: Annotated[int | None, typer.Option(min=16, help="px, a multiple of 16")] = None,
    width: Annotated[int | None, typer.Option(min=16, help="px, a multiple of 16")] = None,
    lora_rank: Annotated[int | None, typer.Option(min=0, help="of the trained factors; 0: all weights")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="else the profile's, 4 at most; 1 on a CPU")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="else 10 on a GPU, 2 on a CPU")] = None,
    work: Annotated[Path | None, typer.Option(help="the folder to work in, which then stays")] = None,
    to: Annotated[Path | None, typer.Option(help="the JSON to write; on a GPU data/benchmarks/DEVICE.json")] = None,
) -> None:
    """Take Wan's real architecture with random weights through every part of the pipeline, and time each."""
    from gpd.bench import wan
    from gpd.bench.workspace import Request

    wan.run(Request(profile, frames, height, width, lora_rank, batch, iterations, work, to))


@app.command("registry")
def bench_registry() -> None:
    """Measure the registry with 100,000 checkpoints."""
    from gpd.registry import bench as bench_registry

    if not bench_registry.run():
        raise typer.Exit(1)
