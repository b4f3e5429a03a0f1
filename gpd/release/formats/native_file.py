"""One file with the names of the model's authors, for ComfyUI's model folder and `from_single_file`."""

from pathlib import Path

from gpd.models.exchange import Weights
from gpd.release.formats.format import Source
from gpd.release.formats.full import FullFormat, round_weights
from gpd.release.header import make_header, save_with_header


class NativeFile(FullFormat):
    """The transformer alone; text encoder and VAE are the base model's."""

    name = "native"

    def write(self, source: Source, folder: Path, dtype: str) -> Path:
        """With the lineage in the header."""
        student = source.student
        path = folder / f"{student.stem}_{dtype}.safetensors"
        weights = round_weights(student, dtype)
        native = {student.exchange.to_native(name): weight for name, weight in weights.items()}
        save_with_header(native, path, make_header(student, is_adapter=False))
        return path

    def read(self, source: Source, path: Path) -> Weights:
        """By diffusers' own conversion of these names."""
        return source.student.exchange.load_native(path, source.student.pipeline)
