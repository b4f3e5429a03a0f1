"""evaluation.json: metrics of subjects under one protocol. profiles.json: curves for a person to look at."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from gpd.artifacts import check_file
from gpd.documents.document import Document
from gpd.documents.manifests import File

Direction = Literal["lower", "higher", "one"]  # "one": the nearer to 1, the better


Floor = Literal["itself", "other noise", "real clips"]  # what is set against the reference


class Protocol(Document):
    """What makes scores comparable. `hash` is that of all the rest."""

    hash: str
    prompts: str
    num_prompts: int
    seeds: list[int]
    height: int
    width: int
    num_frames: int
    shift: float
    grid_steps: int
    negative_prompt: str
    reference_guidance_scale: float
    diversity_prompts: int
    diversity_seeds: int
    teacher: str


class Score(Document):
    """A figure over all samples; `spread` is its standard deviation over noise seeds, null with a single one."""

    value: float
    num_samples: int
    spread: float | None
    direction: Direction


class SubjectScores(Document):
    """How a subject was sampled and what was measured. A metric that cannot be computed is absent, never 0."""

    checkpoint: str
    solver: str
    steps: int
    guidance_scale: float
    forwards: int  # for one clip
    metrics: dict[str, Score]


class Evaluation(Document):
    """evaluation.json.

    Attributes:
        files: those beside it that belong to it; earlier versions named none.
    """

    format: Literal[1] = 1
    protocol: Protocol
    subjects: dict[str, SubjectScores]
    files: dict[str, File] = Field(default_factory=dict)

    def check(self, folder: Path) -> None:
        """Compares the files beside it with their digests, before they are used.

        Raises:
            DamagedError: one differs or is missing.
        """
        for name, file in self.files.items():
            check_file(folder / name, file.sha256)


class Floors(Document):
    """floors.json: what metrics read where nothing was trained, by what was set against the reference.

    Attributes:
        protocol: a hash; the floors of one protocol say nothing of another's figures.
        other_seeds: of the noise that the reference was sampled from once more.
        num_clips: real clips, at most as many as there are samples.
        scores: of the reference itself, of its samples from other noise, of real clips; a metric that means nothing
            there is absent.
    """

    format: Literal[1] = 1
    protocol: str
    other_seeds: list[int]
    num_clips: int
    scores: dict[Floor, dict[str, Score]]


class Spectrum(Document):
    """Power at each frequency, in cycles a pixel or a frame."""

    frequency: list[float]
    power: list[float]


class SubjectProfile(Document):
    """Means over all samples: spectra of the luma; flow of each pair of frames and of the fastest 5 % of pixels, px."""

    space: Spectrum
    time: Spectrum
    motion: list[float]
    motion_top: list[float]


class Profiles(Document):
    """profiles.json; `protocol` is a hash."""

    format: Literal[1] = 1
    protocol: str
    subjects: dict[str, SubjectProfile]
