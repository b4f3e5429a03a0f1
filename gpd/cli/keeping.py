"""What lies there is compared with its digests, or freed."""

from pathlib import Path
from typing import Annotated

import typer

from gpd.artifacts import UserError
from gpd.cli.before import read_params


def verify(
    paths: Annotated[list[Path] | None, typer.Argument(help="files or folders; without them everything")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="restore from DVC's cache or remote, from equal files, from git")
    ] = False,
    key: Annotated[
        Path | None, typer.Option(help="of releases: the public key (PEM) of whoever is said to have signed them")
    ] = None,
) -> None:
    """Compare everything that the pipeline holds with its digests, or signed releases with their signature."""
    from gpd.release import signing
    from gpd.upkeep import verify

    if key is not None:
        for folder in paths or []:
            signing.verify(folder, key)
            print(f"verify: {folder} is what was signed by the owner of {key}")
        if not paths:
            raise UserError("verify: --key needs the folder of a release")
        return
    raise typer.Exit(verify.run(read_params(), paths or [], repair))


def clean(
    older_than: Annotated[str, typer.Option(help="untouched for so long: 30m, 12h, 7d, 2w")],
    yes: Annotated[bool, typer.Option("--yes", help="free it; without it only say what would be freed")] = False,
) -> None:
    """Free what can be made again and nobody uses: train states, work trees, decoded frames, leftovers. No results."""
    from gpd.upkeep import clean

    clean.run(older_than, yes)
