"""When a test runs, and beside which others: what takes longest begins first, what shares much stays in one process.

No test needs another to have run before: `--order-seed N` shuffles them.
"""

import random
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
# The flows need `reproduced`, which test_pipeline makes while another process tests the distillation.
FIRST = (TESTS / "test_pipeline.py", TESTS / "distillation", TESTS / "flows")
# All flows' tests use one Prefect server, one clone and one worker; two processes would make them twice.
TOGETHER = ("tests/flows/",)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--order-seed", type=int, help="shuffle the files, and the tests of each, by this seed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest begins first: with several processes (`-n`) the other files then fill the gaps."""
    seed = config.getoption("order_seed")
    if seed is None:
        items.sort(key=lambda item: next((n for n, at in enumerate(FIRST) if item.path.is_relative_to(at)), len(FIRST)))
        return
    chance = random.Random(seed)
    places = {path: chance.random() for path in dict.fromkeys(item.path for item in items)}
    items.sort(key=lambda item: (places[item.path], chance.random()))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As `--dist loadfile`, and some rooms as a whole."""
    from xdist.scheduler import LoadFileScheduling

    class FilesAndRooms(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((room for room in TOGETHER if nodeid.startswith(room)), str(super()._split_scope(nodeid)))

    return FilesAndRooms(config, log) if config.getoption("dist") == "loadfile" else None
