from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gpd.registry.columns import UtcDateTime, clean_text

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_times_are_kept_in_utc_and_come_back_so() -> None:
    kept: Any = UtcDateTime()
    there = NOON.astimezone(timezone(timedelta(hours=3)))
    written = kept.process_bind_param(there, None)
    assert (written, written.tzinfo) == (NOON, UTC)
    assert kept.process_result_value(NOON.replace(tzinfo=None), None) == NOON  # as SQLite returns it
    read = kept.process_result_value(there, None)
    assert (read, read.tzinfo) == (NOON, UTC)
    assert kept.process_bind_param(None, None) is None
    assert kept.process_result_value(None, None) is None
    with pytest.raises(ValueError, match="has no time zone"):
        kept.process_bind_param(datetime(2026, 1, 2), None)


def test_what_no_database_stores_is_replaced_at_any_depth() -> None:
    assert clean_text({"a\0": ["\ud800", {"b": 1}]}) == {"a\ufffd": ["\ufffd", {"b": 1}]}
    assert clean_text("é\n") == "é\n"
