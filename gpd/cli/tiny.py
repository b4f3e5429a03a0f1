"""`gpd tiny`: the miniature Wan."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The miniature Wan that the default profile distils.", no_args_is_help=True)


@app.command("train")
def tiny_train(
    out: Annotated[Path, typer.Option(help="where the finished pipeline goes")] = Path("data/tiny-wan"),
) -> None:
    """Train the miniature from nothing; goes on where an earlier call was stopped."""
    from gpd.tiny import make as tiny_train

    tiny_train.run(out)


@app.command("clips")
def tiny_clips(
    out: Annotated[Path, typer.Argument(help="folder for the mp4s and captions.jsonl")],
    num: Annotated[int, typer.Option(min=1, help="how many")] = 64,
    held_out: Annotated[bool, typer.Option("--held-out", help="of the captions kept out of training")] = False,
) -> None:
    """Draw procedural clips with captions."""
    from gpd.tiny import draw as tiny_clips

    tiny_clips.run(out, num, held_out)
