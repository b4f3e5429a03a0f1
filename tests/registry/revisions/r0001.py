"""The first schema as it was, to try upgrades on: nothing here follows a later change of `gpd.registry.tables`.

A column is `name:type`, text without a type; `?` after it allows null, `*` makes it part of the primary key,
`>` names the column that it refers to.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

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


def _table(name: str, columns: str, *rules: SchemaItem, indices: tuple[str, ...] = ()) -> None:
    made = (sa.Index(None, *index.split()) for index in indices)
    sa.Table(name, METADATA, *(_column(word) for word in columns.split()), *rules, *made)


def _column(word: str) -> sa.Column[Any]:
    told, _, target = word.partition(">")
    name, _, kind = told.rstrip("?*").partition(":")
    refers = [sa.ForeignKey(target)] if target else []
    return sa.Column(name, TYPES[kind], *refers, nullable=told.endswith("?"), primary_key=told.endswith("*"))


_table(
    "artifact",
    "content* kind name? format:int? size_bytes:big? num_files:int? params:json? facts:json? manifest_hash?",
    sa.CheckConstraint("length(content) = 64", name="content_is_hash"),
    indices=("name",),
)
_table(
    "protocol",
    "hash* prompts? num_prompts:int seeds:json height:int? width:int? num_frames:int? shift:float? "
    "grid_steps:int? reference_guidance_scale:float? teacher? fields:json",
)
_table(
    "run",
    "id* stage command:json params_hash? git_commit? git_is_dirty:bool? host? device? started:time ended:time? "
    "exit_code:int error? forwards:json device_seconds:float? flow_run_id?",
    indices=("flow_run_id", "started"),
)
_table(
    "checkpoint",
    "content*>artifact.content role stage? horizon:int? grid_steps:int? sampling_steps:int? "
    "base?>artifact.content repository? revision? forwards:big? forwards_by_role:json? iterations:big? "
    "samples_seen:big?",
    sa.CheckConstraint("role IN ('base', 'student')", name="role_is_known"),
    indices=("role base horizon", "stage"),
)
_table(
    "evaluation",
    "id* checkpoint>artifact.content protocol>protocol.hash subject solver steps:int guidance_scale:float "
    "forwards:big? source is_complete:bool is_current:bool",
    sa.UniqueConstraint("id", "protocol", "steps"),
    indices=("checkpoint protocol", "protocol steps is_complete"),
)
_table("lineage", "child*>artifact.content relation* parent*>artifact.content parent_kind", indices=("parent",))
_table("location", "content*>artifact.content path* dvc_md5?", indices=("path",))
_table("param", "content*>artifact.content key* value")
_table(
    "promotion",
    "id* alias content?>artifact.content made_at:time made_by because",
    indices=("alias made_at id", "content"),
)
_table("remark", "id* content>artifact.content made_at:time made_by text", indices=("content",))
_table("run_output", "run*>run.id path* kind content>artifact.content", indices=("content",))
_table(
    "score",
    "evaluation* metric* protocol steps:int direction value:float? not_finite? num_samples:int spread:float?",
    sa.CheckConstraint("direction IN ('lower', 'higher', 'one')", name="direction_is_known"),
    sa.CheckConstraint("(value IS NULL) = (not_finite IS NOT NULL)", name="value_or_reason"),
    sa.ForeignKeyConstraint(
        ["evaluation", "protocol", "steps"], ["evaluation.id", "evaluation.protocol", "evaluation.steps"]
    ),
    indices=("metric protocol steps direction value",),
)
