"""The JSON documents that rooms exchange, as types: what stands in a file is read here and nowhere else.

manifest.json       beside every artefact: what determines its content, nothing that differs between identical runs
samples.json        rows of a subject's trajectories
evaluation.json     metrics of subjects under one protocol; profiles.json beside it: curves for a person to look at
results.json        of the ablation
.work/runs/ID.json  one execution, with all that a manifest leaves out
"""

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from gpd.artifacts import MANIFEST, WORK, UserError, hash_files, hash_json, list_files, write_json

FORMAT = 1  # raised when a reader of the old form would misread the new one

Direction = Literal["lower", "higher", "one"]  # "one": the nearer to 1, the better


class Document(BaseModel):
    """A JSON value of known keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Identity(Document):
    """How one document names a folder: by kind and content hash."""

    kind: str
    content: str


class File(Document):
    """A file of an artefact."""

    sha256: str
    size: int  # bytes


# ---- manifest.json: what a reader wants to know of each kind of artefact


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
    """What `encode` wrote; `index` has the number of samples of each shard by kind."""

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
        horizons: shorter steps that it has learnt beside its own, in grid intervals.
        sampling_steps: null if the horizon does not divide the grid.
        forwards: this stage's own, by role: teacher, previous, student, probe.
        iterations: those really done: fewer than configured if the loss stalled.
        base_path: where the base model lay, if the student is an adapter for it; absent if it is a whole pipeline.
    """

    kind: ClassVar[str] = "student"
    stage: str
    horizon: int
    horizons: list[int]
    grid_steps: int
    sampling_steps: int | None
    forwards: dict[str, int]
    iterations: int
    samples_seen: int
    before: Probed
    after: Probed
    base_path: str | None = Field(default=None, exclude_if=lambda path: path is None)


class SamplesFacts(Facts):
    """A subject's samples, as latents, and how they were taken.

    Attributes:
        subject: its name in evaluation.json.
        forwards: network evaluations for one sample.
        num_further: samples of other seeds, for the diversity of those of one prompt.
    """

    kind: ClassVar[str] = "samples"
    subject: str
    solver: str
    steps: int
    guidance_scale: float
    forwards: int
    num_samples: int
    num_further: int


class ShownClip(Document):
    """An mp4 that a person may look at."""

    file: str
    subject: str
    prompt: str
    seed: int


class ClipsFacts(Facts):
    """Shown clips of an evaluation; the brightest colour of a difference stands for `difference_full_levels` of 255."""

    kind: ClassVar[str] = "clips"
    num_samples: int
    clips: list[ShownClip]
    differences: list[ShownClip]
    difference_full_levels: int


class ReportFacts(Facts):
    """What a page shows."""

    kind: ClassVar[str] = "report"
    protocol: str
    subjects: list[str]
    rivals: list[str]


KINDS: dict[str, type[Facts]] = {
    facts.kind: facts
    for facts in (BaseFacts, PromptsFacts, LatentsFacts, StudentFacts, SamplesFacts, ClipsFacts, ReportFacts)
}
F = TypeVar("F", bound=Facts)


class Manifest(Document, Generic[F]):
    """What an artefact is.

    Attributes:
        content: of the names and hashes of the files (`artifacts.hash_files`).
        inputs: the folders that went in.
        params: the settings that determined the content.
    """

    format: int
    kind: str
    content: str
    inputs: dict[str, Identity]
    params: dict[str, Any]
    facts: SerializeAsAny[F]
    files: dict[str, File]

    @property
    def identity(self) -> Identity:
        """How other documents name the artefact."""
        return Identity(kind=self.kind, content=self.content)


def write_manifest(folder: Path, facts: F, *, inputs: dict[str, Identity], params: dict[str, Any]) -> Manifest[F]:
    """Describes a finished folder in its manifest.json.

    Nothing here may differ between two identical runs: no time, host, path of a machine or commit.
    """
    files = list_files(folder)
    manifest = Manifest[F](
        format=FORMAT,
        kind=facts.kind,
        content=hash_files(files),
        inputs=inputs,
        params=params,
        facts=facts,
        files={name: File.model_validate(entry) for name, entry in files.items()},
    )
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


@overload
def load_manifest(folder: Path) -> Manifest[Facts]: ...
@overload
def load_manifest(folder: Path, expected: type[F]) -> Manifest[F]: ...
def load_manifest(folder: Path, expected: type[Facts] | None = None) -> Manifest[Any]:
    """The manifest of a folder.

    Args:
        expected: the facts of the kind that it must be of; any kind if it is left out.

    Raises:
        UserError: there is none, it is not JSON, of another kind, of a newer format or of another form.
    """
    path = Path(folder) / MANIFEST
    raw = load_json(path, f"the DVC stage that writes {folder} has not finished")
    if expected is not None and raw.get("kind") != expected.kind:
        raise UserError(f"{path}: kind is {raw.get('kind')!r}, expected {expected.kind!r}")
    return parse_manifest(raw, path)


def parse_manifest(raw: dict[str, Any], path: Path) -> Manifest[Any]:
    """A checked manifest of any kind.

    Raises:
        UserError: naming file, key and value of the first mistake.
    """
    kind = str(raw.get("kind"))
    if kind not in KINDS:
        raise UserError(f"{path}: kind is {kind!r}; there are {', '.join(KINDS)}")
    facts: Any = KINDS[kind]
    return parse(Manifest[facts], raw, path)


def identify(folder: Path) -> Identity:
    """How documents name this folder."""
    return load_manifest(folder).identity


def verify(folder: Path) -> list[str]:
    """What is wrong with a folder against its manifest: one line a file, empty when intact."""
    manifest = load_manifest(folder)
    found = list_files(folder)
    wrong = []
    for name in sorted(manifest.files.keys() | found.keys()):
        if name not in found:
            wrong.append(f"{name}: missing")
        elif name not in manifest.files:
            wrong.append(f"{name}: not in the manifest")
        elif found[name]["sha256"] != manifest.files[name].sha256:
            wrong.append(f"{name}: content changed")
    return wrong


# ---- samples.json beside a subject's samples


class Sample(Document):
    """What a sample starts from: a prompt, and the seed and index that its noise is drawn from."""

    id: str
    text: str
    seed: int
    index: int


class Point(Document):
    """A noise level that is kept: its index on the base grid, and the subject's own steps until there."""

    index: int
    step: int


class Listing(Document):
    """samples.json: which sample each row of the trajectories is, and which points of its way are kept.

    Attributes:
        batch: rows in a file of trajectories; the last one may have fewer.
        samples: those that everything is measured on. The rows of `further` come after theirs.
        diversity: for each of the first prompts, the rows of its seeds.
    """

    format: Literal[1] = 1
    batch: int
    points: list[Point]
    samples: list[Sample]
    further: list[Sample]
    diversity: list[list[int]]


# ---- evaluation.json and profiles.json


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
    """evaluation.json."""

    format: Literal[1] = 1
    protocol: Protocol
    subjects: dict[str, SubjectScores]


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


# ---- results.json of the ablation


class Spread(Document):
    """A metric over training seeds; `std` is null with a single one."""

    mean: float
    std: float | None = None


class AblationRow(Document):
    """A variant at one budget, in training forwards."""

    variant: str
    group: str
    label: str
    budget: int
    num_seeds: int
    sampling_forwards: int
    training_forwards: int
    protocol: str
    metrics: dict[str, Spread]


class AblationFloor(Document):
    """The undistilled teacher in fewer steps."""

    label: str
    sampling_forwards: int
    metrics: dict[str, Spread]


class AblationResults(Document):
    """results.json."""

    format: Literal[1] = 1
    protocol: str | None
    seeds: list[int]
    rows: list[AblationRow]
    floors: list[AblationFloor]


# ---- .work/runs/ID.json


class Git(Document):
    """Commit of the work tree and whether tracked files differ from it; nulls outside a repository."""

    commit: str | None = None
    is_dirty: bool | None = None


class Output(Document):
    """A folder that a run wrote."""

    path: str
    kind: str
    content: str


class RunRecord(Document):
    """One execution. Not frozen: a stage fills in what it learns.

    Attributes:
        forwards: network evaluations by role.
        device_seconds: wall time multiplied by the number of devices.
        flow_run_id: Prefect's, from `GPD_FLOW_RUN_ID`.
    """

    model_config = ConfigDict(frozen=False)

    format: int = FORMAT
    id: str
    stage: str
    command: list[str]
    params_hash: str
    git: Git
    host: str
    device: str = "cpu"
    flow_run_id: str | None
    started: str
    outputs: list[Output] = Field(default_factory=list)
    forwards: dict[str, int] = Field(default_factory=dict)
    device_seconds: float | None = None
    exit_code: int = 0
    error: str | None = None
    ended: str | None = None

    def wrote(self, path: Path | str, manifest: Manifest[Any]) -> None:
        """Names an output."""
        self.outputs.append(Output(path=str(path), kind=manifest.kind, content=manifest.content))


def git_state() -> Git:
    """Of the working directory."""

    def git(*words: str) -> str | None:
        done = subprocess.run(["git", *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    with contextlib.suppress(FileNotFoundError):
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
        return Git(commit=commit, is_dirty=None if changes is None else bool(changes))
    return Git()


@contextlib.contextmanager
def recording_run(stage: str, params: dict[str, Any]) -> Iterator[RunRecord]:
    """Keeps one execution in .work/runs/, also when it fails; the block fills in what it learns."""
    started = time.time()
    record = RunRecord(
        id=uuid.uuid4().hex,
        stage=stage,
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
        params_hash=hash_json(params),
        git=git_state(),
        host=platform.node(),
        flow_run_id=os.environ.get("GPD_FLOW_RUN_ID"),
        started=datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds"),
    )
    try:
        yield record
    except BaseException as error:
        record.exit_code = 2 if isinstance(error, UserError) else 130 if isinstance(error, KeyboardInterrupt) else 1
        record.error = f"{type(error).__name__}: {error}".split("\n")[0]
        raise
    finally:
        record.ended = datetime.now(UTC).isoformat(timespec="milliseconds")
        with contextlib.suppress(OSError):  # a full disk must not hide the error that filled it
            write_json(WORK / "runs" / f"{record.id}.json", record.model_dump(mode="json"))


def dump(documents: Mapping[str, Document]) -> dict[str, Any]:
    """Plain JSON values of several documents by name."""
    return {name: document.model_dump(mode="json") for name, document in documents.items()}


# ---- reading


D = TypeVar("D", bound=Document)


def load_document(kind: type[D], path: Path, advice: str) -> D:
    """A document of a known type.

    Args:
        advice: what makes the file, for the message if it is missing or unusable.

    Raises:
        UserError: the file is missing, not JSON, of a newer format or of another form; it names file, key and value.
    """
    return parse(kind, load_json(path, advice), path)


def load_json(path: Path, advice: str) -> dict[str, Any]:
    """A JSON object with a format that this version reads.

    Raises:
        UserError: it is none.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {advice}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); {advice}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("format"), int):
        raise UserError(f"{path}: not a document of gpd (key 'format' is missing)")
    if raw["format"] > FORMAT:
        raise UserError(f"{path}: format {raw['format']} is newer than this gpd reads ({FORMAT}); update gpd")
    return raw


def parse(kind: type[D], raw: dict[str, Any], path: Path) -> D:
    """A checked document.

    Raises:
        UserError: naming file, key and value of the first mistake.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{path}: {first_mistake(error)}") from None


def first_mistake(error: ValidationError) -> str:
    """Key, value and reason, in one line."""
    mistake = error.errors()[0]
    return f"{'.'.join(map(str, mistake['loc']))}={mistake['input']!r:.80}: {mistake['msg']}"
