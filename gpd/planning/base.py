"""The base model of a plan: its architecture from the published ones, or from a folder's configs. No weights."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from gpd.artifacts import UserError
from gpd.models.base import Geometry
from gpd.models.network import VideoNetwork
from gpd.models.wan import make_text_encoder, make_vae
from gpd.models.wan.architectures import PUBLISHED, Architecture, read_architecture
from gpd.models.wan.codec import geometry_of
from gpd.models.wan.outline import outline
from gpd.params import Model


@dataclass(frozen=True)
class Base:
    """Networks by name and shape."""

    architecture: Architecture

    @property
    def geometry(self) -> Geometry:
        """What latents and tokens stand for."""
        return geometry_of(self.architecture.vae, self.architecture.transformer)

    @cached_property
    def outline(self) -> VideoNetwork:
        """The transformer in float32, on the meta device."""
        return outline(self.architecture, dtype="float32", merge_padding=False)

    @cached_property
    def text_encoder(self) -> Any:
        """On the meta device."""
        with torch.device("meta"):
            return make_text_encoder(self.architecture.text_encoder)

    @cached_property
    def vae(self) -> Any:
        """On the meta device."""
        with torch.device("meta"):
            return make_vae(self.architecture.vae)

    def latent_shape(self, model: Model) -> tuple[int, int, int, int]:
        """[C, F, H, W] of the profile's clips."""
        return self.geometry.latent_shape(model.num_frames, model.height, model.width)


def find_base(model: Model) -> Base:
    """The published model that `model.hub` names; else what lies in `model.path`.

    Raises:
        UserError: neither is there, or the profile's sizes do not come out even.
    """
    if model.hub is not None and model.hub.repository in PUBLISHED:
        base = Base(PUBLISHED[model.hub.repository])
    elif (Path(model.path) / "transformer" / "config.json").is_file():
        base = Base(read_architecture(Path(model.path)))
    else:
        raise UserError(
            f"params.yaml: model.path={model.path!r}: no configs there, and model.hub names none of "
            f"{', '.join(PUBLISHED)}; the plan needs the sizes of the networks"
        )
    base.geometry.check(model.num_frames, model.height, model.width)
    return base
