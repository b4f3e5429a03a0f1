"""The types that the registry's columns are made of, the same on SQLite and PostgreSQL."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from annotated_types import Interval
from pydantic import AfterValidator, BeforeValidator, ConfigDict, StringConstraints
from sqlalchemy import DateTime, Dialect, MetaData
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel


def clean_text(value: Any) -> Any:
    """JSON with what no database can store as text (NUL, lone surrogates) replaced by U+FFFD, at any depth."""
    if isinstance(value, str):
        return re.sub("[\0\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, dict):
        return {clean_text(key): clean_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_text(item) for item in value]
    return value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("cannot be empty; the history keeps it")
    return text


Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, BeforeValidator(clean_text), StringConstraints(min_length=1, max_length=200)]
Path_ = Annotated[str, BeforeValidator(clean_text), StringConstraints(min_length=1, max_length=500)]
Text = Annotated[str, BeforeValidator(clean_text)]
Words = Annotated[str, BeforeValidator(clean_text), AfterValidator(_not_blank)]
Int = Annotated[int, Interval(ge=-(2**31), le=2**31 - 1)]
Count = Annotated[int, Interval(ge=0, le=2**31 - 1)]
BigCount = Annotated[int, Interval(ge=0, le=2**63 - 1)]


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC. SQLite forgets the zone, so it is put back; naive ones are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: converted to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Record(SQLModel):
    """Parent of every table. Constraints have names, so that a migration can change them on any database."""

    model_config: ClassVar[Any] = ConfigDict(extra="forbid")  # a value that no column has is a mistake
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
