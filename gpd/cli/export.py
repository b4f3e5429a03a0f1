"""`gpd export`: a student for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from gpd.artifacts import UserError
from gpd.cli.before import read_params


def export(
    student: Annotated[str, typer.Argument(help="a stage such as k8, a folder, or champion, best:6, a hash")],
    to: Annotated[Path | None, typer.Option(help="the folder to write")] = None,
    format: Annotated[str, typer.Option(help="diffusers, lora, lora-native, native; all takes what it has")] = "all",
    dtype: Annotated[
        str | None, typer.Option(help="bf16, fp16 or fp32; else bf16 for a LoRA, fp32 for the rest")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="extract a LoRA from a student of full weights")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace an earlier release in the folder")] = False,
    push: Annotated[str | None, typer.Option(help="OWNER/NAME on the hub, to upload to when all is verified")] = None,
    sign: Annotated[Path | None, typer.Option(help="private key of an elliptic curve (PEM), to sign it with")] = None,
    card: Annotated[bool, typer.Option("--card", help="write nothing, print the model card")] = False,
) -> None:
    """Write a student for diffusers, ComfyUI and others; each file is loaded back and compared."""
    from gpd.release import export

    if card:
        export.print_card(read_params(), student)
        return
    if to is None:
        raise UserError("export: --to FOLDER is missing; --card prints the card alone")
    export.run(read_params(), student, to=to, format=format, dtype=dtype, rank=rank, force=force, push=push, sign=sign)
