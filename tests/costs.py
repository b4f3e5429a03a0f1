"""What tests cost, by room: processor seconds, for seconds on the clock say more of a machine's other work.

`pytest --durations=N` prints them below its own list. Processes that a test has started count when they have ended, so
what lives as long as a room (a Prefect server) is in the sum of the room.
"""

import os
from collections import Counter
from collections.abc import Generator

import pytest

KEY = "processor seconds"

_counted = 0.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes what has been spent since the last call of this, which comes after set-up, test and what follows it."""
    global _counted
    before, _counted = _counted, sum(os.times()[:4])
    item.user_properties.append((KEY, _counted - before if before else 0.0))
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The rooms, dearest first."""
    if config.getoption("durations") is None:
        return
    spent: Counter[str] = Counter()
    for report in (one for reports in terminalreporter.stats.values() for one in reports):
        if getattr(report, "when", "") == "teardown":  # has all that was noted of its test
            spent[room_of(report.nodeid)] += sum(value for key, value in report.user_properties if key == KEY)
    terminalreporter.section(f"{KEY} by room: {sum(spent.values()):.0f}")
    for room, seconds in spent.most_common():
        terminalreporter.write_line(f"{seconds:7.1f}  {room}")


def room_of(test: str) -> str:
    """tests/flows/test_tree.py::.. -> tests/flows; tests/test_cli.py::.. -> tests/test_cli.py."""
    return "/".join(test.partition("::")[0].split("/")[:2])
