"""The tables of the registry.

Keys are natural, mostly content hashes: the same thing recorded twice is one row, whatever the order of recording.

    artifact    a folder with a manifest; only its content is filled in while others merely refer to it
    checkpoint  what an artifact that is a model has besides
    location    where its files were seen, relative to a workspace
    param       the settings that determined it, one row a key
    lineage     child -> parent, by the role that the parent played
    protocol    evaluation, score: how good it is
    run         run_output: one execution and what it wrote
    promotion   remark: what people decided and said; only ever added to
"""

from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime
from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Table, UniqueConstraint
from sqlalchemy import String as Str
from sqlmodel import Field

from gpd.registry.columns import BigCount, Count, Hash, Int, Name, Path_, Record, Text, UtcDateTime, Words

DIRECTIONS = ("lower", "higher", "one")
UNKNOWN = "unknown"  # kind of an artifact that others refer to and that was never seen itself
M = TypeVar("M", bound=Record)


def table_of(model: type[Record]) -> Table:
    """The SQLAlchemy table of a table class."""
    return Record.metadata.tables[str(model.__tablename__)]


def checked(model: type[M], /, **values: Any) -> M:
    """A row whose values are checked; the constructor of a table class checks nothing.

    Raises:
        ValidationError: a value does not fit its column, or there is no such column.
    """
    return model.model_validate(values)


class Artifact(Record, table=True):
    """A folder with a manifest. `manifest_hash` is null while it is known only because others refer to it."""

    __table_args__ = (CheckConstraint("length(content) = 64", name="content_is_hash"),)

    content: Hash = Field(primary_key=True)
    kind: Name
    name: Name | None = Field(default=None, index=True)
    format: Int | None = None
    size_bytes: BigCount | None = Field(default=None, sa_type=BigInteger)
    num_files: Count | None = None
    params: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    facts: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    manifest_hash: Hash | None = None


class Checkpoint(Record, table=True):
    """A model. `base` is the base model it comes from (itself for one); `forwards` are those of its own stage."""

    __table_args__ = (
        CheckConstraint("role IN ('base', 'student')", name="role_is_known"),
        Index(None, "role", "base", "horizon"),
    )

    content: Hash = Field(primary_key=True, foreign_key="artifact.content")
    role: Literal["base", "student"] = Field(sa_type=Str)
    stage: Name | None = Field(default=None, index=True)
    horizon: Count | None = None
    grid_steps: Count | None = None
    sampling_steps: Count | None = None
    base: Hash | None = Field(default=None, foreign_key="artifact.content")
    repository: Text | None = None
    revision: Text | None = None
    forwards: BigCount | None = Field(default=None, sa_type=BigInteger)
    forwards_by_role: dict[str, int] | None = Field(default=None, sa_type=JSON)
    iterations: BigCount | None = Field(default=None, sa_type=BigInteger)
    samples_seen: BigCount | None = Field(default=None, sa_type=BigInteger)


class Location(Record, table=True):
    """A path below a workspace where this content was seen; checked again whenever it is used."""

    __table_args__ = (Index(None, "path"),)

    content: Hash = Field(primary_key=True, foreign_key="artifact.content")
    path: Path_ = Field(primary_key=True)
    dvc_md5: Name | None = None


class Param(Record, table=True):
    """One setting of an artifact: dotted key, value as text (numbers as Python writes a float, lists as JSON)."""

    content: Hash = Field(primary_key=True, foreign_key="artifact.content")
    key: Name = Field(primary_key=True)
    value: Text


class Lineage(Record, table=True):
    """An edge: `parent` went into `child` as its `relation` (teacher, previous, latents, prompts, ...)."""

    __table_args__ = (Index(None, "parent"),)

    child: Hash = Field(primary_key=True, foreign_key="artifact.content")
    relation: Name = Field(primary_key=True)
    parent: Hash = Field(primary_key=True, foreign_key="artifact.content")
    parent_kind: Name


class Protocol(Record, table=True):
    """What must be equal for two scores to be comparable. `fields` has all of it, the columns what is often read."""

    hash: Hash = Field(primary_key=True)
    prompts: Name | None = None
    num_prompts: Count = Field(ge=1)
    seeds: list[int] = Field(sa_type=JSON)
    height: Count | None = None
    width: Count | None = None
    num_frames: Count | None = None
    shift: float | None = None
    grid_steps: Count | None = None
    reference_guidance_scale: float | None = None
    teacher: Name | None = None
    fields: dict[str, Any] = Field(sa_type=JSON)


class Evaluation(Record, table=True):
    """A checkpoint sampled in one way and measured under one protocol; `id` hashes all of it with its scores.

    `is_complete`: some metric saw every prompt with every seed. `is_current`: no later evaluation of the same
    checkpoint, sampler and protocol has taken its place.
    """

    __table_args__ = (
        UniqueConstraint("id", "protocol", "steps"),
        Index(None, "checkpoint", "protocol"),
        Index(None, "protocol", "steps", "is_complete"),
    )

    id: Hash = Field(primary_key=True)
    checkpoint: Hash = Field(foreign_key="artifact.content")
    protocol: Hash = Field(foreign_key="protocol.hash")
    subject: Name
    solver: Name
    steps: Count = Field(ge=1)
    guidance_scale: float
    forwards: BigCount | None = Field(default=None, sa_type=BigInteger)
    source: Path_
    is_complete: bool
    is_current: bool = True


class Score(Record, table=True):
    """One metric of an evaluation. What is not a finite number has no value; `not_finite` names it instead.

    `protocol` and `steps` repeat the evaluation's (a foreign key keeps them equal), so that one index answers `best`.
    """

    __table_args__ = (
        ForeignKeyConstraint(
            ["evaluation", "protocol", "steps"], ["evaluation.id", "evaluation.protocol", "evaluation.steps"]
        ),
        CheckConstraint("direction IN ('lower', 'higher', 'one')", name="direction_is_known"),
        CheckConstraint("(value IS NULL) = (not_finite IS NOT NULL)", name="value_or_reason"),
        Index(None, "metric", "protocol", "steps", "direction", "value"),
    )

    evaluation: Hash = Field(primary_key=True)
    metric: Name = Field(primary_key=True)
    protocol: Hash
    steps: Count
    direction: Literal["lower", "higher", "one"] = Field(sa_type=Str)
    value: float | None = None
    not_finite: Literal["nan", "inf", "-inf"] | None = Field(default=None, sa_type=Str)
    num_samples: Count
    spread: float | None = None


class Run(Record, table=True):
    """One execution of a command, failed ones too."""

    id: Name = Field(primary_key=True)
    stage: Name
    command: list[str] = Field(sa_type=JSON)
    params_hash: Name | None = None
    git_commit: Name | None = None
    git_is_dirty: bool | None = None
    host: Text | None = None
    device: Text | None = None
    started: AwareDatetime = Field(sa_type=UtcDateTime, index=True)
    ended: AwareDatetime | None = Field(default=None, sa_type=UtcDateTime)
    exit_code: Int
    error: Text | None = None
    forwards: dict[str, int] = Field(sa_type=JSON)
    device_seconds: float | None = None
    flow_run_id: Name | None = Field(default=None, index=True)


class RunOutput(Record, table=True):
    """What a run wrote, and where."""

    __tablename__ = "run_output"

    run: Name = Field(primary_key=True, foreign_key="run.id")
    path: Path_ = Field(primary_key=True)
    kind: Name
    content: Hash = Field(foreign_key="artifact.content", index=True)


class Promotion(Record, table=True):
    """An alias was given to a checkpoint, or taken back (null). The latest of an alias is what it means now.

    `is_protected`: from now on it is moved by force only; `is_forced`: it was protected before and moved all the same.
    """

    __table_args__ = (Index(None, "alias", "made_at", "id"),)

    id: Hash = Field(primary_key=True)
    alias: Name
    content: Hash | None = Field(default=None, foreign_key="artifact.content", index=True)
    made_at: AwareDatetime = Field(sa_type=UtcDateTime)
    made_by: Name
    because: Words
    is_protected: bool = False
    is_forced: bool = False


class Remark(Record, table=True):
    """What a person wants remembered about an artifact. Of descriptions the latest counts; a tag can be taken off."""

    id: Hash = Field(primary_key=True)
    content: Hash = Field(foreign_key="artifact.content", index=True)
    made_at: AwareDatetime = Field(sa_type=UtcDateTime)
    made_by: Name
    text: Words
    kind: Literal["remark", "description", "tag", "untag"] = Field(default="remark", sa_type=Str)


MODELS = tuple(Record.__subclasses__())  # in the order of this page: a row refers only to rows of tables above its own
