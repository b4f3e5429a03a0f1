"""A pipeline's folder in diffusers' format: model_index.json, and a folder for each part that it names."""

from pathlib import Path
from typing import Any

from gpd.artifacts import UserError
from gpd.documents import check_below, check_files
from gpd.documents.reading import parse_json

INDEX = "model_index.json"


def check_layout(folder: Path) -> None:
    """Recognises the layout of the authors' own repository, whose VAE and text encoder are pickles.

    Raises:
        UserError: `folder` has it: what to get instead.
    """
    pickles = sorted(folder.glob("*.pth"))
    if pickles and not (folder / INDEX).is_file():
        raise UserError(
            f"{pickles[0]}: the authors' own layout, whose .pth files are pickles; gpd never loads one. Move {folder} "
            "away and run `gpd fetch`: the hub has the same model in diffusers format, which params.yaml names in "
            "model.hub. Or convert it where you trust the files, with scripts/convert_wan_to_diffusers.py of diffusers"
        )


def check_model(folder: Path) -> None:
    """A clear line if a model's weights are not there.

    Raises:
        UserError: `folder` is not a pipeline in diffusers format.
    """
    check_layout(folder)
    if not (folder / INDEX).is_file():
        raise UserError(
            f"params.yaml: model.path={str(folder)!r}: no weights there ({INDEX} is missing). "
            "`gpd fetch` downloads them where model.hub names a repository; or put a local folder in diffusers "
            "format there"
        )


def check_part(folder: Path, part: str) -> None:
    """Whether a model is there, and its files of this part are those that its manifest names, before they are loaded.

    Raises:
        UserError: it is not.
        DamagedError: a file differs from the manifest.
    """
    check_model(folder)
    check_below(folder, part)


def load_config(path: Path) -> dict[str, Any]:
    """model_index.json, or the config.json of a part.

    Raises:
        UserError: the file is missing, is no JSON object, or is not what the model's manifest says.
    """
    folder = path.parent if path.name == INDEX else path.parent.parent
    if path.is_file():
        check_files(folder, path.relative_to(folder).as_posix())
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {path.parent} is not complete") from None
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(config).__name__}")
    return config


def quiet_libraries() -> None:
    """The libraries' bars for loading a file would stand between ours."""
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
