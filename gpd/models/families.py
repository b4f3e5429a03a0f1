"""Which base models there are. A new one is a row here."""

from pathlib import Path

from gpd.artifacts import UserError
from gpd.models.adapted import AdaptedModel, base_of, is_adapter
from gpd.models.base import BaseModel
from gpd.models.folders import INDEX, check_model, load_config
from gpd.models.wan.model import Wan

FAMILIES: dict[str, type[BaseModel]] = {"WanPipeline": Wan}  # by _class_name in model_index.json


def find_family(index: Path) -> type[BaseModel]:
    """The family of the pipeline that this model_index.json describes.

    Raises:
        UserError: it is of none.
    """
    name = load_config(index).get("_class_name")
    if not isinstance(name, str) or name not in FAMILIES:
        raise UserError(f"{index}: _class_name={name!r} is no base model of gpd's; they are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def open_model(folder: Path | str) -> BaseModel:
    """The base model, or the student, that lies in a folder; no weights are loaded yet. An adapter brings its base.

    Raises:
        UserError: there is none, it is of no family that gpd has, or an adapter's base model is not where it was.
    """
    if is_adapter(Path(folder)):
        return AdaptedModel(Path(folder), open_model(base_of(Path(folder))))
    check_model(Path(folder))
    return find_family(Path(folder) / INDEX)(Path(folder))
