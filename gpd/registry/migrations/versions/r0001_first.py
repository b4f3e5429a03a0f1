"""The first schema, as it was: nothing here follows a later change of `gpd.registry.tables`.

A column is `name:type`, text without a type; `?` after it allows null, `*` makes it part of the primary key.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

revision = "0001"
down_revision = None

TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "": sa.String(),
    "int": sa.Integer(),
    "big": sa.BigInteger(),
    "float": sa.Float(),
    "bool": sa.Boolean(),
    "json": sa.JSON(),
    "time": sa.DateTime(timezone=True),
}
METADATA = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def upgrade() -> None:
    """Creates all tables."""
    METADATA.create_all(op.get_bind())


def _table(name: str, columns: str, *rules: SchemaItem) -> None:
    sa.Table(name, METADATA, *(_column(word) for word in columns.split()), *rules)


def _column(word: str) -> sa.Column[Any]:
    name, _, kind = word.rstrip("?*").partition(":")
    return sa.Column(name, TYPES[kind], nullable=word.endswith("?"), primary_key=word.endswith("*"))


def _refers(columns: str, target: str) -> sa.ForeignKeyConstraint:
    """`target` is "table.column column ..."."""
    table, _, others = target.partition(".")
    return sa.ForeignKeyConstraint(columns.split(), [f"{table}.{other}" for other in others.split()])


def _index(columns: str) -> sa.Index:
    return sa.Index(None, *columns.split())


_table(
    "artifact",
    "content* kind name? format:int? size_bytes:big? num_files:int? params:json? facts:json? manifest_hash?",
    sa.CheckConstraint("length(content) = 64", name="content_is_hash"),
    _index("name"),
)
_table(
    "protocol",
    "hash* prompts? num_prompts:int seeds:json height:int? width:int? num_frames:int? shift:float? grid_steps:int? "
    "reference_guidance_scale:float? teacher? fields:json",
)
_table(
    "run",
    "id* stage command:json params_hash? git_commit? git_is_dirty:bool? host? device? started:time ended:time? "
    "exit_code:int error? forwards:json device_seconds:float? flow_run_id?",
    _index("flow_run_id"),
    _index("started"),
)
_table(
    "checkpoint",
    "content* role stage? horizon:int? grid_steps:int? sampling_steps:int? base? repository? revision? forwards:big? "
    "forwards_by_role:json? iterations:big? samples_seen:big?",
    sa.CheckConstraint("role IN ('base', 'student')", name="role_is_known"),
    _refers("base", "artifact.content"),
    _refers("content", "artifact.content"),
    _index("role base horizon"),
    _index("stage"),
)
_table(
    "evaluation",
    "id* checkpoint protocol subject solver steps:int guidance_scale:float forwards:big? source is_complete:bool "
    "is_current:bool",
    _refers("checkpoint", "artifact.content"),
    _refers("protocol", "protocol.hash"),
    sa.UniqueConstraint("id", "protocol", "steps"),
    _index("checkpoint protocol"),
    _index("protocol steps is_complete"),
)
_table(
    "lineage",
    "child* relation* parent* parent_kind",
    _refers("child", "artifact.content"),
    _refers("parent", "artifact.content"),
    _index("parent"),
)
_table("location", "content* path* dvc_md5?", _refers("content", "artifact.content"), _index("path"))
_table("param", "content* key* value", _refers("content", "artifact.content"))
_table(
    "promotion",
    "id* alias content? made_at:time made_by because",
    _refers("content", "artifact.content"),
    _index("alias made_at id"),
    _index("content"),
)
_table("remark", "id* content made_at:time made_by text", _refers("content", "artifact.content"), _index("content"))
_table(
    "run_output",
    "run* path* kind content",
    _refers("content", "artifact.content"),
    _refers("run", "run.id"),
    _index("content"),
)
_table(
    "score",
    "evaluation* metric* protocol steps:int direction value:float? not_finite? num_samples:int spread:float?",
    sa.CheckConstraint("direction IN ('lower', 'higher', 'one')", name="direction_is_known"),
    sa.CheckConstraint("(value IS NULL) = (not_finite IS NOT NULL)", name="value_or_reason"),
    _refers("evaluation protocol steps", "evaluation.id protocol steps"),
    _index("metric protocol steps direction value"),
)
