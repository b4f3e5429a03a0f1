"""The folder data/samples/NAME/: a subject's trajectories as latents, nothing decoded.

samples.json              which prompt, seed and noise each row is; which points of its way are kept
part-00000.safetensors .. "latents" [B, K, C, F, H, W] at those points, the last one the end; the rows in order
"""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from gpd import documents
from gpd.artifacts import replace_file, system_errors
from gpd.documents import Listing, Sample, SamplesFacts

LISTING = "samples.json"


def part_name(index: int) -> str:
    """File name of the rows of a part."""
    return f"part-{index:05d}.safetensors"


def save_part(path: Path, latents: np.ndarray) -> None:
    """Writes trajectories [B, K, C, F, H, W]; the file appears under its name only when it is complete."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        # safetensors writes the memory of an array as it lies: views with other strides would come back scrambled
        with system_errors(path):
            save_file({"latents": np.ascontiguousarray(latents)}, partial)
            replace_file(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class SampleSet:
    """Reads the folder; only the requested rows are loaded.

    Raises:
        UserError: on opening, if the manifest or samples.json is missing, damaged or of another form; on reading, if
            a part is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = documents.load_manifest(folder, SamplesFacts)
        self.facts = self.manifest.facts
        path = folder / LISTING
        self.manifest.check(folder, LISTING)
        self.listing = documents.load_document(Listing, path, f"run `gpd sample {folder.name}`")
        self._part = lru_cache(maxsize=2)(self._load_part)

    def _load_part(self, index: int) -> np.ndarray:
        self.manifest.check(self.folder, part_name(index))
        latents: np.ndarray = load_file(self.folder / part_name(index))["latents"]
        return latents

    @property
    def samples(self) -> list[Sample]:
        """Those that everything is measured on."""
        return self.listing.samples

    @property
    def seeds(self) -> np.ndarray:
        """Noise seed of each of them, [N]."""
        return np.array([sample.seed for sample in self.samples])

    def latents(self, rows: Sequence[int]) -> np.ndarray:
        """Trajectories [B, K, C, F, H, W] at the kept points; rows count through `samples` and `further`."""
        places = [divmod(row, self.listing.batch) for row in rows]
        return np.concatenate([self._part(part)[place : place + 1] for part, place in places])

    def batches(self, size: int) -> Iterator[tuple[list[Sample], np.ndarray]]:
        """`samples` in order with their trajectories, at most `size` at a time."""
        for start in range(0, len(self.samples), size):
            samples = self.samples[start : start + size]
            yield samples, self.latents(range(start, start + len(samples)))

    def diversity(self) -> np.ndarray | None:
        """Ends [P, S, C, F, H, W] of the first prompts from several seeds; None if there are none."""
        groups = self.listing.diversity
        return np.stack([self.latents(rows)[:, -1] for rows in groups]) if groups else None
