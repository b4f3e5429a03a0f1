"""The folder data/reference/: the guided teacher's samples that every subject is paired with.

samples.json              which prompt, seed and noise each row is; which points of the base grid are kept
trajectory-00000.safetensors ..   "latents" [B, K, C, F, H, W] at those points, "frames" [B, F, H, W, 3] uint8
measures.safetensors      measures of all rows
diversity.safetensors     "latents" [P, S, C, F, H, W]: several seeds of the first prompts (optional)
clips.safetensors         features of real clips of the evaluation split (optional)
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from gpd.artifacts import write_json

SAMPLES, MEASURES, DIVERSITY, CLIPS = (
    "samples.json",
    "measures.safetensors",
    "diversity.safetensors",
    "clips.safetensors",
)


Measures = dict[str, np.ndarray]  # name -> [N] or [N, D], one row a sample


@dataclass(frozen=True)
class Sample:
    """One row: the prompt, and what its noise is drawn from."""

    id: str
    text: str
    seed: int
    index: int


@dataclass(frozen=True)
class Part:
    """Some consecutive rows, loaded."""

    samples: list[Sample]
    latents: np.ndarray  # [B, K, C, F, H, W], the last point is the end
    frames: np.ndarray  # [B, F, H, W, 3] uint8


def part_name(number: int) -> str:
    """File name of a batch of trajectories."""
    return f"trajectory-{number:05d}.safetensors"


def save_part(folder: Path, number: int, latents: np.ndarray, frames: np.ndarray) -> None:
    """Writes a batch of trajectories and clips."""
    _save({"latents": latents, "frames": frames}, folder / part_name(number))


def save_rest(
    folder: Path,
    *,
    samples: list[Sample],
    points: list[int],
    measures: Measures,
    diversity: np.ndarray | None,
    clips: Measures | None,
) -> None:
    """Writes all but the trajectories; `points` are the kept points' indices on the base grid."""
    write_json(folder / SAMPLES, {"points": points, "samples": [asdict(sample) for sample in samples]})
    _save(measures, folder / MEASURES)
    if diversity is not None:
        _save({"latents": diversity}, folder / DIVERSITY)
    if clips is not None:
        _save(clips, folder / CLIPS)


class ReferenceSet:
    """Reads the folder; trajectories are loaded one file at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listing = json.loads((folder / SAMPLES).read_text(encoding="utf-8"))
        self.points: list[int] = listing["points"]
        self.samples = [Sample(**row) for row in listing["samples"]]
        self.measures = load_file(folder / MEASURES)
        self.diversity = load_file(folder / DIVERSITY)["latents"] if (folder / DIVERSITY).exists() else None
        self.clips = load_file(folder / CLIPS) if (folder / CLIPS).exists() else None

    @property
    def seeds(self) -> np.ndarray:
        """Noise seed of each row, [N]."""
        return np.array([sample.seed for sample in self.samples])

    def parts(self, batch: int) -> Iterator[Part]:
        """All rows in order, at most `batch` at a time."""
        first = 0
        for path in sorted(self.folder.glob(part_name(0).replace("00000", "*"))):
            arrays = load_file(path)
            latents, frames = arrays["latents"], arrays["frames"]
            for start in range(0, len(latents), batch):
                rows = slice(start, start + batch)
                samples = self.samples[first + start : first + start + len(latents[rows])]
                yield Part(samples, latents[rows], frames[rows])
            first += len(latents)


def _save(arrays: Measures, path: Path) -> None:
    """safetensors writes the memory of an array as it lies: views with other strides would come back scrambled."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
