"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates all tables."""
    _create_artifact()
    _create_protocol()
    _create_run()
    _create_checkpoint()
    _create_evaluation()
    _create_lineage()
    _create_location()
    _create_param()
    _create_promotion()
    _create_remark()
    _create_run_output()
    _create_score()


def _create_artifact() -> None:
    op.create_table(
        "artifact",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("format", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("num_files", sa.Integer(), nullable=True),
        sa.Column("params", sa.JSON(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=True),
        sa.Column("manifest_hash", sa.String(), nullable=True),
        sa.CheckConstraint("length(content) = 64", name=op.f("ck_artifact_content_is_hash")),
        sa.PrimaryKeyConstraint("content", name=op.f("pk_artifact")),
    )
    op.create_index(op.f("ix_artifact_name"), "artifact", ["name"])


def _create_protocol() -> None:
    op.create_table(
        "protocol",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("prompts", sa.String(), nullable=True),
        sa.Column("num_prompts", sa.Integer(), nullable=False),
        sa.Column("seeds", sa.JSON(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("num_frames", sa.Integer(), nullable=True),
        sa.Column("shift", sa.Float(), nullable=True),
        sa.Column("grid_steps", sa.Integer(), nullable=True),
        sa.Column("reference_guidance_scale", sa.Float(), nullable=True),
        sa.Column("teacher", sa.String(), nullable=True),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_protocol")),
    )


def _create_run() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("params_hash", sa.String(), nullable=True),
        sa.Column("git_commit", sa.String(), nullable=True),
        sa.Column("git_is_dirty", sa.Boolean(), nullable=True),
        sa.Column("host", sa.String(), nullable=True),
        sa.Column("device", sa.String(), nullable=True),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("forwards", sa.JSON(), nullable=False),
        sa.Column("device_seconds", sa.Float(), nullable=True),
        sa.Column("flow_run_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_flow_run_id"), "run", ["flow_run_id"])
    op.create_index(op.f("ix_run_started"), "run", ["started"])


def _create_checkpoint() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("horizon", sa.Integer(), nullable=True),
        sa.Column("grid_steps", sa.Integer(), nullable=True),
        sa.Column("sampling_steps", sa.Integer(), nullable=True),
        sa.Column("base", sa.String(), nullable=True),
        sa.Column("repository", sa.String(), nullable=True),
        sa.Column("revision", sa.String(), nullable=True),
        sa.Column("forwards", sa.BigInteger(), nullable=True),
        sa.Column("forwards_by_role", sa.JSON(), nullable=True),
        sa.Column("iterations", sa.BigInteger(), nullable=True),
        sa.Column("samples_seen", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('base', 'student')", name=op.f("ck_checkpoint_role_is_known")),
        sa.ForeignKeyConstraint(["base"], ["artifact.content"], name=op.f("fk_checkpoint_base")),
        sa.ForeignKeyConstraint(["content"], ["artifact.content"], name=op.f("fk_checkpoint_content")),
        sa.PrimaryKeyConstraint("content", name=op.f("pk_checkpoint")),
    )
    op.create_index(op.f("ix_checkpoint_role_base_horizon"), "checkpoint", ["role", "base", "horizon"])
    op.create_index(op.f("ix_checkpoint_stage"), "checkpoint", ["stage"])


def _create_evaluation() -> None:
    op.create_table(
        "evaluation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("solver", sa.String(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("guidance_scale", sa.Float(), nullable=False),
        sa.Column("forwards", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["checkpoint"], ["artifact.content"], name=op.f("fk_evaluation_checkpoint")),
        sa.ForeignKeyConstraint(["protocol"], ["protocol.hash"], name=op.f("fk_evaluation_protocol")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
        sa.UniqueConstraint("id", "protocol", "steps", name=op.f("uq_evaluation_id_protocol_steps")),
    )
    op.create_index(op.f("ix_evaluation_checkpoint_protocol"), "evaluation", ["checkpoint", "protocol"])
    op.create_index(
        op.f("ix_evaluation_protocol_steps_is_complete"), "evaluation", ["protocol", "steps", "is_complete"]
    )


def _create_lineage() -> None:
    op.create_table(
        "lineage",
        sa.Column("child", sa.String(), nullable=False),
        sa.Column("relation", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("parent_kind", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["child"], ["artifact.content"], name=op.f("fk_lineage_child")),
        sa.ForeignKeyConstraint(["parent"], ["artifact.content"], name=op.f("fk_lineage_parent")),
        sa.PrimaryKeyConstraint("child", "relation", "parent", name=op.f("pk_lineage")),
    )
    op.create_index(op.f("ix_lineage_parent"), "lineage", ["parent"])


def _create_location() -> None:
    op.create_table(
        "location",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("dvc_md5", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["content"], ["artifact.content"], name=op.f("fk_location_content")),
        sa.PrimaryKeyConstraint("content", "path", name=op.f("pk_location")),
    )
    op.create_index(op.f("ix_location_path"), "location", ["path"])


def _create_param() -> None:
    op.create_table(
        "param",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["content"], ["artifact.content"], name=op.f("fk_param_content")),
        sa.PrimaryKeyConstraint("content", "key", name=op.f("pk_param")),
    )


def _create_promotion() -> None:
    op.create_table(
        "promotion",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["content"], ["artifact.content"], name=op.f("fk_promotion_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
    )
    op.create_index(op.f("ix_promotion_alias_made_at_id"), "promotion", ["alias", "made_at", "id"])
    op.create_index(op.f("ix_promotion_content"), "promotion", ["content"])


def _create_remark() -> None:
    op.create_table(
        "remark",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["content"], ["artifact.content"], name=op.f("fk_remark_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remark")),
    )
    op.create_index(op.f("ix_remark_content"), "remark", ["content"])


def _create_run_output() -> None:
    op.create_table(
        "run_output",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["content"], ["artifact.content"], name=op.f("fk_run_output_content")),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_run_output_run")),
        sa.PrimaryKeyConstraint("run", "path", name=op.f("pk_run_output")),
    )
    op.create_index(op.f("ix_run_output_content"), "run_output", ["content"])


def _create_score() -> None:
    op.create_table(
        "score",
        sa.Column("evaluation", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("not_finite", sa.String(), nullable=True),
        sa.Column("num_samples", sa.Integer(), nullable=False),
        sa.Column("spread", sa.Float(), nullable=True),
        sa.CheckConstraint("direction IN ('lower', 'higher', 'one')", name=op.f("ck_score_direction_is_known")),
        sa.CheckConstraint("(value IS NULL) = (not_finite IS NOT NULL)", name=op.f("ck_score_value_or_reason")),
        sa.ForeignKeyConstraint(
            ["evaluation", "protocol", "steps"],
            ["evaluation.id", "evaluation.protocol", "evaluation.steps"],
            name=op.f("fk_score_evaluation_protocol_steps"),
        ),
        sa.PrimaryKeyConstraint("evaluation", "metric", name=op.f("pk_score")),
    )
    op.create_index(
        op.f("ix_score_metric_protocol_steps_direction_value"),
        "score",
        ["metric", "protocol", "steps", "direction", "value"],
    )
