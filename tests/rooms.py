"""Which tests one process runs one after the other, with `-n N`: those of a file, and all of a room that shares much.

All flows' tests use one Prefect server, one clone and one worker; in two processes they would make them twice.
"""

from typing import Any

import pytest

WHOLE = ("tests/flows/",)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As `--dist loadfile`, and rooms as a whole."""
    from xdist.scheduler import LoadFileScheduling

    class FilesAndRooms(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((room for room in WHOLE if nodeid.startswith(room)), str(super()._split_scope(nodeid)))

    return FilesAndRooms(config, log) if config.getoption("dist") == "loadfile" else None
