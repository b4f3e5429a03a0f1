"""What a manifest says of each kind of artefact, besides what determines it."""

from typing import ClassVar

from pydantic import ConfigDict, Field

from gpd.documents.document import Document
from gpd.documents.names import Name


class Facts(Document):
    """Of one kind of artefact, besides what determines it."""

    kind: ClassVar[str]


class BaseFacts(Facts):
    """A base model. Repository and revision are null for a local one; who made it may add more."""

    model_config = ConfigDict(extra="allow")
    kind: ClassVar[str] = "base"
    name: str
    repository: str | None
    revision: str | None


class PromptsFacts(Facts):
    """What `prepare` collected."""

    kind: ClassVar[str] = "prompts"
    num_prompts: int
    num_evaluation_prompts: int
    num_clips: int


class BrokenClip(Document):
    """A clip that could not be read."""

    file: str
    reason: str


class LatentsFacts(Facts):
    """What `encode` wrote; `index` has the number of samples of each shard by kind.

    Attributes:
        num_clips: samples made of them; a long clip may give several (encode.windows_per_clip).
    """

    kind: ClassVar[str] = "latents"
    num_texts: int
    num_clips: int
    num_evaluation_clips: int
    num_rollouts: int
    broken_clips: list[BrokenClip]
    index: dict[str, list[int]]


class Probed(Document):
    """A network on fixed states: mean |v - v*|^2, and |v - v_true| / |v_true| against the true guided roll-out."""

    residual: float
    rollout_distance: float


class StudentFacts(Facts):
    """A student.

    Attributes:
        horizons: shorter ones that it has learnt beside its own.
        sampling_steps: null if the horizon does not divide the grid.
        forwards: this stage's own, by role: teacher, previous, student, probe.
        iterations: those really done: fewer than configured if the loss stalled.
        heads: last layers on its backbone, if it has several and so is no plain pipeline; absent if it has one.
        base_path: where the base model lay, if the student is an adapter for it; absent if it is a whole pipeline.
    """

    kind: ClassVar[str] = "student"
    stage: Name
    horizon: int
    horizons: list[int]
    grid_steps: int
    sampling_steps: int | None
    forwards: dict[str, int]
    iterations: int
    samples_seen: int
    before: Probed
    after: Probed
    heads: int | None = Field(default=None, exclude_if=lambda heads: heads is None)
    base_path: str | None = Field(default=None, exclude_if=lambda path: path is None)


class SamplesFacts(Facts):
    """A subject's samples, as latents, and how they were taken.

    Attributes:
        subject: its name in evaluation.json.
        forwards: network evaluations for one sample.
        num_further: samples of other seeds, for the diversity of those of one prompt.
    """

    kind: ClassVar[str] = "samples"
    subject: Name
    solver: str
    steps: int
    guidance_scale: float
    forwards: int
    num_samples: int
    num_further: int


class ShownClip(Document):
    """An mp4 that a person may look at."""

    file: str
    subject: Name
    prompt: str
    seed: int


class StripRow(Document):
    """An mp4 of one prompt's samples side by side."""

    file: str
    prompt: str


class ShownStrip(Document):
    """How a student learnt: in each row a sample after so many iterations, by `columns`, the teacher's last."""

    columns: list[str]
    rows: list[StripRow]


class ClipsFacts(Facts):
    """Shown clips of an evaluation; the brightest colour of a difference stands for `difference_full_levels` of 255.

    `strip` is absent unless the subject is a student that kept samples on the way.
    """

    kind: ClassVar[str] = "clips"
    num_samples: int
    clips: list[ShownClip]
    differences: list[ShownClip]
    difference_full_levels: int
    strip: ShownStrip | None = Field(default=None, exclude_if=lambda strip: strip is None)


class ReportFacts(Facts):
    """What a page shows."""

    kind: ClassVar[str] = "report"
    protocol: str
    subjects: list[Name]
    rivals: list[str]


class Exported(Document):
    """A student in one of the formats of a release.

    Attributes:
        path: below the release's folder; "." if the folder itself is the pipeline.
        size: in bytes.
        rank: of factors; null for full weights.
        lost: |released - student| / |student - base|, over all weights; null if the base model was not there.
    """

    format: str
    path: str
    size: int
    dtype: str
    rank: int | None
    lost: float | None


class ReleaseFacts(Facts):
    """A student as others load it."""

    kind: ClassVar[str] = "release"
    stage: Name
    sampling_steps: int
    exports: list[Exported]
