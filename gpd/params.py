"""params.yaml as types: every key known, every value checked, every mistake named by key, file and value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from gpd.artifacts import UserError
from gpd.documents.reading import parse_yaml, show_key, show_value

PARAMS_FILE = Path("params.yaml")
OBJECTIVES = Path(__file__).parent / "distillation" / "objectives"  # a file each; what it excludes is its own affair
REFERENCE = "reference"  # the subject that all others are measured against

Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
GuidanceScale = Annotated[float, Field(ge=1.0, le=20.0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Section(BaseModel):
    """A section of params.yaml. Unknown keys are errors, values are not coerced, instances do not change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Hub(Section):
    """Where the weights are published; touched by `gpd fetch` alone."""

    repository: str
    revision: str


class Model(Section):
    """The base model and what its networks are fed. Its family decides which sizes fit (`gpd.models.base.Geometry`)."""

    path: str
    hub: Hub | None
    num_frames: Positive
    height: Positive
    width: Positive
    shift: Annotated[float, Field(gt=0.0, le=100.0)]
    grid_steps: Annotated[int, Field(ge=2, le=1000)]
    negative_prompt: str
    dtype: Literal["float32", "bfloat16"]
    merge_padding: bool
    gradient_checkpointing: bool


class Prepare(Section):
    """Prompts and clips."""

    source: str
    num_evaluation_prompts: Positive
    seed: Seed


class Rollouts(Section):
    """Teacher roll-outs computed ahead and kept in the shards."""

    num: NotNegative
    guidance_scale: GuidanceScale


class Encode(Section):
    """The latent precomputation."""

    frames_per_second: Annotated[float, Field(gt=0.0, le=240.0)]
    crop: Literal["center"]
    posterior: Literal["mode", "sample"]
    max_broken_share: Share
    windows_per_clip: Annotated[int, Field(gt=0, exclude_if=lambda windows: windows == 1)] = 1
    samples_per_shard: Positive
    latent_dtype: Literal["float32", "float16"]
    rollouts: Rollouts
    seed: Seed


class States(Section):
    """Where training states come from: shares that sum to 1."""

    stream: Share
    clips: Share
    rollouts: Share

    @model_validator(mode="after")
    def _check_sum(self) -> "States":
        total = self.stream + self.clips + self.rollouts
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"stream + clips + rollouts is {total:g}, must be 1")
        return self


class Guidance(Section):
    """The teacher's guidance scale, linear along an axis; the block that the negative prompt's branch leaves out."""

    start: GuidanceScale
    end: GuidanceScale
    axis: Literal["stage", "iteration", "sigma"]
    skip_block: NotNegative | None = None


class Frequency(Section):
    """The frequency-domain constraint."""

    weight: Annotated[float, Field(ge=0.0)]
    temporal_cutoff: Annotated[float, Field(ge=0.0, le=1.0)]
    spatial_cutoff: Annotated[float, Field(ge=0.0, le=1.0)]
    stages: list[str]


class TeacherWalk(Section):
    """How the guided teacher walks its part of a target."""

    solver: Literal["euler", "adams"]
    stride: Positive


class Strip(Section):
    """Samples of the first held-out prompts, kept every so many iterations to show how the student learns."""

    every: Positive
    num_prompts: Positive


class TeacherShare(Section):
    """What the guided teacher walks of each block, the student the rest: linear over a stage's iterations."""

    start: Share
    end: Share

    def at(self, progress: float) -> float:
        """When a share `progress` of the iterations is done."""
        return self.start + (self.end - self.start) * progress


class Probe(Section):
    """What is looked at that is no training: fixed states before and after each stage, samples on the way."""

    num_states: Positive
    strip: Strip | None = Field(default=None, exclude_if=lambda strip: strip is None)


def _known_objective(name: str) -> str:
    known = sorted(path.stem for path in OBJECTIVES.glob("[a-z]*.py"))
    if name not in known:
        raise PydanticCustomError("unknown_objective", "is none of {known}", {"known": ", ".join(known)})
    return name


Objective = Annotated[str, AfterValidator(_known_objective)]


class StageParams(Section):
    """One distillation stage; `objective` is its own if it differs from distill.objective."""

    horizon: Positive
    tail: NotNegative
    previous: str
    iterations: Positive
    batch: Positive
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    objective: Objective | None = Field(default=None, exclude_if=lambda objective: objective is None)

    @property
    def own_name(self) -> str:
        """What the stage is called."""
        return f"k{self.horizon}" if self.objective is None else f"k{self.horizon}-{self.objective}"

    def at_horizon(self, horizon: int) -> "StageParams":
        """The same for a step of `horizon` intervals, at most its own: the tail ends with the step."""
        return self.model_copy(update={"horizon": horizon, "tail": min(self.tail, horizon)})


class Distill(Section):
    """What all distillation stages share, and the stages.

    Students of `final_steps` steps and of fewer are final: trained where inference by their steps starts, and nowhere
    else. Those before them are trained all over the grid, as later stages may jump with them from anywhere.
    """

    final_steps: Positive
    objective: Objective
    increment: Literal["euler", "midpoint"]
    teacher_share: TeacherShare
    horizons: list[Positive]
    teacher_walk: TeacherWalk
    pool_slots: Positive
    states: States
    guidance: Guidance
    frequency: Frequency
    loss_weighting: Literal["uniform", "step"]
    lora_rank: NotNegative
    warmup_iterations: NotNegative
    final_rate_share: Share
    stall_window: NotNegative
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    max_gradient_norm: Annotated[float, Field(gt=0.0)]
    weight_decay: Annotated[float, Field(ge=0.0)]
    probe: Probe
    save_every_seconds: Positive
    seed: Seed
    stages: Annotated[dict[str, StageParams], Field(min_length=1)]

    def at(self, progress: float) -> "Distill":
        """The same with the teacher's share as it is when a share `progress` of a stage's iterations is done."""
        share = self.teacher_share.at(progress)
        return self.model_copy(update={"teacher_share": TeacherShare(start=share, end=share)})


class Subject(Section):
    """Whose samples are taken, and how: the reference, an undistilled baseline or a student."""

    checkpoint: str
    steps: Positive
    solver: Literal["euler", "unipc", "dpm++"]
    guidance_scale: GuidanceScale


class Sampling(Section):
    """Trajectories on the same prompts and noise for every subject."""

    num_prompts: Positive
    seeds: Annotated[list[Seed], Field(min_length=1)]
    batch: Positive
    diversity_prompts: NotNegative
    diversity_seeds: Annotated[int, Field(ge=2)]
    num_kept_points: Positive
    subjects: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")], Subject]

    @property
    def reference(self) -> Subject:
        """The guided teacher on the base grid, which everything is measured against."""
        return self.subjects[REFERENCE]


class Evaluate(Section):
    """How samples are measured."""

    batch: Positive
    num_shown_clips: Positive


class Report(Section):
    """The page."""

    title: str
    num_clips: Positive


class Params(Section):
    """The whole of params.yaml."""

    model: Model
    prepare: Prepare
    encode: Encode
    distill: Distill
    sample: Sampling
    evaluate: Evaluate
    report: Report

    @model_validator(mode="after")
    def _check_curriculum(self) -> "Params":
        previous_path, previous_horizon = self.model.path, 0
        for name, stage in self.distill.stages.items():
            key = f"distill.stages.{name}"
            if name != stage.own_name:
                raise ValueError(f"{key}: a stage of horizon {stage.horizon} is called {stage.own_name}")
            keeps = stage.objective is not None and stage.horizon == previous_horizon
            if stage.horizon <= previous_horizon and not keeps:
                raise ValueError(f"{key}.horizon={stage.horizon} does not rise above {previous_horizon}")
            if stage.previous != previous_path:
                raise ValueError(
                    f"{key}.previous={stage.previous!r} must be {previous_path!r}, what the stage before writes"
                )
            if stage.tail > stage.horizon:
                raise ValueError(f"{key}.tail={stage.tail} is longer than horizon={stage.horizon}")
            previous_path, previous_horizon = student_path(name), stage.horizon
        return self

    @model_validator(mode="after")
    def _check_final(self) -> "Params":
        """A final student walks its own even grid, as the plain pipeline does, and is jumped with along it alone."""
        grid_steps, distill = self.model.grid_steps, self.distill
        if grid_steps % distill.final_steps:
            raise ValueError(f"distill.final_steps={distill.final_steps} does not divide model.grid_steps={grid_steps}")
        first = grid_steps // distill.final_steps
        if first not in {stage.horizon for stage in distill.stages.values()}:
            raise ValueError(
                f"distill.final_steps={distill.final_steps} needs a stage of horizon {first}, as "
                f"model.grid_steps={grid_steps}; distill.stages has {', '.join(distill.stages)}"
            )
        self._check_last_steps(first)
        self._check_jumps(first)
        return self

    def _check_last_steps(self, first: int) -> None:
        """No final student ends in a shorter step; `first` is the shortest horizon of them."""
        grid_steps, final_steps = self.model.grid_steps, self.distill.final_steps
        for name, stage in self.distill.stages.items():
            if stage.horizon >= first and grid_steps % stage.horizon:
                raise ValueError(
                    f"distill.stages.{name}.horizon={stage.horizon} does not divide model.grid_steps={grid_steps}: "
                    f"only students before horizon {first}, that of distill.final_steps={final_steps}, may end in "
                    "a shorter step"
                )

    def _check_jumps(self, first: int) -> None:
        """A jump with a final student goes along the steps that it was trained at."""
        previous = first
        for name, stage in self.distill.stages.items():
            if stage.horizon > first and stage.tail < stage.horizon and stage.horizon % previous:
                raise ValueError(
                    f"distill.stages.{name}.tail={stage.tail} jumps with the student of horizon {previous} from where "
                    f"that was not trained: its steps start at multiples of {previous}; a tail of {stage.horizon} does "
                    "without it"
                )
            previous = max(first, stage.horizon)

    @model_validator(mode="after")
    def _check_use(self) -> "Params":
        distill = self.distill
        unknown = sorted(set(distill.frequency.stages) - set(distill.stages))
        if unknown:
            raise ValueError(f"distill.frequency.stages names {unknown[0]!r}, which is not in distill.stages")
        if (distill.frequency.weight > 0) != bool(distill.frequency.stages):
            raise ValueError(
                "distill.frequency: weight and stages go together "
                f"(weight={distill.frequency.weight:g}, stages={distill.frequency.stages})"
            )
        self._check_horizons()
        if distill.states.rollouts > 0 and self.encode.rollouts.num == 0:
            raise ValueError("distill.states.rollouts is above 0, but encode.rollouts.num is 0: there are none to use")
        self._check_subjects()
        return self

    def _check_subjects(self) -> None:
        """The reference is there, and each subject is sampled on noise levels that the base grid has."""
        if self.sample.num_prompts > self.prepare.num_evaluation_prompts:
            raise ValueError(
                f"sample.num_prompts={self.sample.num_prompts} is above "
                f"prepare.num_evaluation_prompts={self.prepare.num_evaluation_prompts}"
            )
        if REFERENCE not in self.sample.subjects:
            raise ValueError(f"sample.subjects has no {REFERENCE!r}; it has {', '.join(self.sample.subjects)}")
        for name, subject in self.sample.subjects.items():
            for key, wanted in self._wanted(name, subject).items():
                if (value := getattr(subject, key)) != wanted:
                    raise ValueError(f"sample.subjects.{name}.{key}={value!r} must be {wanted!r}")
            if subject.checkpoint == self.model.path and self.model.grid_steps % subject.steps:
                raise ValueError(
                    f"sample.subjects.{name}.steps={subject.steps} does not divide "
                    f"model.grid_steps={self.model.grid_steps}"
                )
        if self.model.grid_steps % self.sample.num_kept_points:
            raise ValueError(
                f"sample.num_kept_points={self.sample.num_kept_points} does not divide "
                f"model.grid_steps={self.model.grid_steps}"
            )

    def _wanted(self, name: str, subject: Subject) -> dict[str, Any]:
        """What a subject's name and checkpoint leave no choice about: a student is sampled as it was trained."""
        if name == REFERENCE:
            return {"checkpoint": self.model.path, "steps": self.model.grid_steps, "solver": "euler"}
        if name in self.distill.stages:
            steps = num_student_steps(self.model.grid_steps, self.distill.stages[name].horizon)
            return {"checkpoint": student_path(name), "steps": steps, "solver": "euler", "guidance_scale": 1.0}
        if subject.checkpoint.startswith(student_path("")):
            raise ValueError(
                f"sample.subjects.{name}.checkpoint={subject.checkpoint!r}: a student's samples are named after its "
                f"stage, one of {', '.join(self.distill.stages)}"
            )
        return {"checkpoint": self.model.path}

    def _check_horizons(self) -> None:
        """What a student of several horizons needs."""
        distill, key = self.distill, f"distill.horizons={self.distill.horizons}"
        if not distill.horizons:
            return
        if len(distill.stages) > 1:
            raise ValueError(f"{key}: distill.stages must hold one stage, not {len(distill.stages)}")
        if distill.lora_rank > 0:
            raise ValueError(f"{key}: distill.lora_rank={distill.lora_rank} freezes what tells the steps; it must be 0")
        if distill.states.clips == 0:
            raise ValueError(f"{key} are learnt on noised clips: distill.states.clips must be above 0")
        if distill.horizons != sorted(set(distill.horizons)):
            raise ValueError(f"{key} does not rise")
        (longest,) = (stage.horizon for stage in distill.stages.values())
        for horizon in distill.horizons:
            if horizon >= longest or longest % horizon:
                raise ValueError(f"{key}: {horizon} is no shorter divisor of the stage's horizon={longest}")


def num_student_steps(grid_steps: int, horizon: int) -> int:
    """How many steps a student samples in; the last is shorter if the horizon does not divide the grid."""
    return -(-grid_steps // horizon)


def student_path(stage: str) -> str:
    """Where a distillation stage writes its student."""
    return f"data/students/{stage}"


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Reads and checks a params file.

    Raises:
        UserError: with the file, the key, the value and what is wrong, one line for each mistake.
    """
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `gpd use tiny-wan` writes one") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected sections, found {type(raw).__name__}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UserError(explain(path, error)) from None


def override(raw: dict[str, Any], changes: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Replaces values at dotted keys, in place; the keys must be there. The result is not checked yet.

    Args:
        source: where the changes stand, for the message.

    Raises:
        UserError: a key that is not there, its value, and the keys that are.
    """
    for key, value in changes.items():
        section: Any = raw
        *above, last = key.split(".")
        for part in above:
            section = section[_known(part, section, f"{source}: {key}={show_value(value)}")]
        section[_known(last, section, f"{source}: {key}={show_value(value)}")] = value
    return raw


def _known(part: str, section: Any, said: str) -> str:
    if isinstance(section, dict) and part in section:
        return part
    known = f"it has {', '.join(map(str, section))}" if isinstance(section, dict) else "it is a value"
    raise UserError(f"{said}: params.yaml has no {part!r} there; {known}")


def explain(path: Path, error: ValidationError, prefix: str = "") -> str:
    """One line for each mistake, with the file, the key, the value and what is wrong."""
    return "\n".join(_line(path, mistake).replace(f"{path}: ", f"{path}: {prefix}", 1) for mistake in error.errors())


def _line(path: Path, mistake: Any) -> str:
    key = show_key(mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key (value {show_value(mistake['input'])})"
    if mistake["type"] == "missing":
        return f"{path}: {key}: missing"
    message = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "value_error":  # made by us above: names key and value itself
        return f"{path}: {key + ': ' if key else ''}{message}"
    return f"{path}: {key}={show_value(mistake['input'])}: {message}"
