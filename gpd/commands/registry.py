"""`gpd registry ...`: questions to the registry."""

import typer

app = typer.Typer(help="Checkpoints, where they came from and how good they are.", no_args_is_help=True)


@app.callback()
def registry() -> None:
    """Checkpoints, where they came from and how good they are."""
