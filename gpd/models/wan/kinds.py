"""Which kind of Wan a folder holds: gpd has Wan2.1 for text to video, and nothing that only looks like it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd.artifacts import UserError
from gpd.models.folders import INDEX, load_config
from gpd.models.wan.architectures import PUBLISHED, SHARED_TRANSFORMER

TRANSFORMER_CONFIG = Path("transformer", "config.json")
ONLY_IN_WAN22 = "as in Wan2.2; gpd has Wan2.1 only"
ONLY_FROM_IMAGES = "it begins from an image; gpd has text to video only"


@dataclass(frozen=True)
class Sign:
    """A value of a config by which another kind of Wan is known."""

    file: Path
    key: str
    is_other: Callable[[Any], bool]
    why: str


SIGNS = (
    Sign(Path(INDEX), "boundary_ratio", bool, f"one transformer for high noise and another for low, {ONLY_IN_WAN22}"),
    Sign(Path(INDEX), "expand_timesteps", bool, f"a timestep for each token, {ONLY_IN_WAN22}"),
    Sign(TRANSFORMER_CONFIG, "image_dim", lambda value: value is not None, ONLY_FROM_IMAGES),
    Sign(TRANSFORMER_CONFIG, "added_kv_proj_dim", lambda value: value is not None, ONLY_FROM_IMAGES),
    Sign(TRANSFORMER_CONFIG, "in_channels", lambda value: value in (32, 36), ONLY_FROM_IMAGES),
    Sign(TRANSFORMER_CONFIG, "in_channels", lambda value: value == 48, f"latents of its VAE, {ONLY_IN_WAN22}"),
)


def check_kind(folder: Path) -> None:
    """Refuses the configs of another kind; a file that is not there says nothing.

    Raises:
        UserError: file, key, value and what it means.
    """
    configs = {sign.file: load_config(folder / sign.file) for sign in SIGNS if (folder / sign.file).is_file()}
    for sign in SIGNS:
        value = configs.get(sign.file, {}).get(sign.key)
        if value is not None and sign.is_other(value):
            raise UserError(f"{folder / sign.file}: {sign.key}={value!r}: {sign.why}")


def check_published(folder: Path, repository: str) -> None:
    """Whether the transformer is of the size that this repository has; of repositories that gpd does not know, any is.

    Raises:
        UserError: the first key that differs.
    """
    if repository not in PUBLISHED:
        return
    published, found = PUBLISHED[repository], {**SHARED_TRANSFORMER, **load_config(folder / TRANSFORMER_CONFIG)}
    for key, wanted in published.transformer.items():
        value = tuple(found[key]) if isinstance(found.get(key), list) else found.get(key)
        if value != wanted:
            raise UserError(
                f"{folder / TRANSFORMER_CONFIG}: {key}={value!r}, but {published.name} has {wanted!r}; "
                f"params.yaml: model.hub.repository={repository!r}"
            )
