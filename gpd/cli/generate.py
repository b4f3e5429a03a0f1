"""`gpd generate`: many options, one call."""

from pathlib import Path
from typing import Annotated

import typer

from gpd.artifacts import UserError


def generate(
    prompt: Annotated[list[str] | None, typer.Option(help="what the clip shall show; may be repeated")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help='a file of more: text, one a line, or .jsonl with {"text": ..} a line')
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="the mp4 to write, or a folder; else clip.mp4, or clips/ for several")
    ] = None,
    student: Annotated[str | None, typer.Option(help="a stage's student, such as k8; else the last stage's")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="a folder, the base model's too, or a question to the registry: champion, best:6, a hash"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="of the noise; else 0")] = None,
    seeds: Annotated[str | None, typer.Option(help="several: 0,1,2 makes a clip of each prompt from each")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="if the checkpoint has learnt several numbers")] = None,
    frames: Annotated[int | None, typer.Option(min=1, max=4093, help="4k + 1; else as in params.yaml")] = None,
    height: Annotated[int | None, typer.Option(min=16, max=8192, help="px, a multiple of 16")] = None,
    width: Annotated[int | None, typer.Option(min=16, max=8192, help="px, a multiple of 16")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="of the base model; a student samples without")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="of the base model; a student samples without")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace clips that are there")] = False,
) -> None:
    """Make clips with a student: one for each prompt and seed, each with a JSON of how it was made."""
    from gpd.params import load_params
    from gpd.sampling import generate
    from gpd.sampling.options import Options
    from gpd.sampling.orders import parse_seeds

    if seed is not None and seeds is not None:
        raise UserError(f"--seed={seed} and --seeds={seeds}: give one of them")
    generate.run(
        load_params(),
        prompts=prompt or [],
        prompts_file=prompts,
        seeds=[seed or 0] if seeds is None else parse_seeds(seeds),
        out=out,
        student=student,
        checkpoint=checkpoint,
        options=Options(steps, guidance_scale, negative_prompt, frames, height, width),
        force=force,
    )
