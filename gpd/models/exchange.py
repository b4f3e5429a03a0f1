"""How programs that are not ours name and load a family's weights: what a release needs of it."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from torch import Tensor

Weights = dict[str, Tensor]  # of a transformer, by the names of diffusers


class Exchange(ABC):
    """Names and readers of one family. The readers are those of other programs, so that a release is tried by them.

    Attributes:
        architecture, implementation: as `modelspec.*` in the header of a file names them.
        license: of the published weights, as the hub abbreviates it.
        license_url: its text.
    """

    architecture: ClassVar[str]
    implementation: ClassVar[str]
    license: ClassVar[str]
    license_url: ClassVar[str]

    @abstractmethod
    def published_name(self, folder: Path) -> str | None:
        """Such as wan2.1_t2v_1.3b; None if the model in the folder has no size that the authors published."""

    @abstractmethod
    def to_native(self, name: str) -> str:
        """The authors' name of a weight or a layer, from that of diffusers."""

    @abstractmethod
    def keeps_float32(self, name: str) -> bool:
        """Whether this weight stays in float32 when the others are rounded."""

    @abstractmethod
    def load_pipeline(self, folder: Path) -> Weights:
        """float32 weights of the transformer, from the complete pipeline as diffusers opens it."""

    @abstractmethod
    def load_fused(self, base: Path, file: Path) -> Weights:
        """float32 weights of the base model with an adapter's file loaded and fused by diffusers."""

    @abstractmethod
    def load_native(self, file: Path, config: Path) -> Weights:
        """float32 weights from a single file of the authors' names, as diffusers reads it.

        Args:
            config: a pipeline's folder, for the transformer's sizes.
        """
