"""Which tests reach which lines, and what each test costs: measured once for a state of gpd/."""

import json
import os
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol

from tests.mutants.operators import Mutant

KEPT = Path(".work/mutants")
STARTS = 0.5  # processor seconds of its processes: less than a Python that imports anything takes


@dataclass
class Reach:
    """Attributes:
    seconds: of the processor, by test; its processes count.
    lines: tests by module and line.
    openers: the tests that set up what lives as long as the session.
    starters: those that start processes.
    """

    room: str
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    openers: list[str] = field(default_factory=list)
    starters: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, room: str) -> "Reach":
        path = kept(room, "reach.json")
        return cls(**json.loads(path.read_text())) if path.exists() else cls(room)

    def save(self) -> None:
        kept(self.room, "reach.json").write_text(json.dumps(vars(self)))

    def tests(self, mutant: Mutant) -> list[str]:
        """Those that reach it, quickest first."""
        lines = self.lines.get(mutant.path, {})
        if mutant.constant:
            wanted = [number for number, text in enumerate(_text(mutant.path), 1) if mutant.constant in text]
            reached = {test for number in wanted for test in lines.get(str(number), [])}
            reached = reached or {test for tests in lines.values() for test in tests}
        else:
            reached = {test for n in range(mutant.first, mutant.last + 1) for test in lines.get(str(n), [])}
        return sorted(reached, key=lambda test: self.seconds[test])

    def beside(self, mutant: Mutant) -> list[str]:
        """Tests of the module's own file, quickest first: what they fork reaches lines that are not noted."""
        file = f"/test_{Path(mutant.path).stem}.py"
        mine = [test for test in self.seconds if test.partition("::")[0].endswith(file)]
        return sorted(mine, key=lambda test: self.seconds[test])

    def of_processes(self, mutant: Mutant) -> list[str]:
        """Those of them that start processes."""
        return [test for test in self.beside(mutant) if test in self.starters]


def kept(room: str, name: str) -> Path:
    KEPT.mkdir(parents=True, exist_ok=True)
    return KEPT / f"{room.replace('/', '-')}-{state()}-{name}"


def state() -> str:
    """A word for what gpd/ holds."""
    words = ["git", "ls-files", "-s", "gpd"], ["git", "diff", "gpd"]
    text = b"".join(subprocess.run(one, capture_output=True, check=True).stdout for one in words)
    return subprocess.run(
        ["git", "hash-object", "--stdin"], input=text, capture_output=True, check=True
    ).stdout.decode()[:12]


def _text(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


class Tracing:
    """Runs tests and notes what they reach. What is set up for the whole session is nobody's."""

    def __init__(self, reach: Reach, paths: list[str]) -> None:
        os.environ["COVERAGE_CORE"] = "ctrace"  # the other one has no contexts
        self.reach, self.paths, self.current = reach, paths, ""
        files = [str(Path(path).resolve()) for path in paths]
        self.coverage = coverage.Coverage(data_file=None, config_file=False, include=files)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        if fixturedef.scope != "session" or not self.current or not _is_ours(fixturedef):
            return (yield)
        if self.current not in self.reach.openers:
            self.reach.openers.append(self.current)
        self.coverage.switch_context("session")
        try:
            return (yield)
        finally:
            self.coverage.switch_context(self.current)

    def run(self, items: list[pytest.Item], rest: pytest.Item) -> list[str]:
        """Returns the tests that fail even without a mutant. `rest` is a test of another file."""
        failed = []
        self.coverage.start()
        for item, following in zip(items, [*items[1:], rest], strict=True):
            self.current = item.nodeid
            self.coverage.switch_context(item.nodeid)
            before = os.times()
            reports = runtestprotocol(item, log=False, nextitem=following)
            if any(report.failed for report in reports):
                failed.append(item.nodeid)
            else:
                self._note_cost(item, [after - start for after, start in zip(os.times(), before, strict=True)])
        self.current = ""
        self.coverage.stop()
        self._note(set(failed))
        return failed

    def _note_cost(self, item: pytest.Item, spent: list[float]) -> None:
        own, processes = sum(spent[:2]), sum(spent[2:4])
        self.reach.seconds[item.nodeid] = round(own + processes, 3)
        if processes > STARTS and item.nodeid not in self.reach.starters:
            self.reach.starters.append(item.nodeid)

    def _note(self, failed: set[str]) -> None:
        data = self.coverage.get_data()
        for path in self.paths:
            lines = defaultdict(list, self.reach.lines.get(path, {}))
            for number, tests in data.contexts_by_lineno(str(Path(path).resolve())).items():
                lines[str(number)] = sorted({*lines[str(number)], *tests} - {"", "session"} - failed)
            self.reach.lines[path] = dict(lines)


def _is_ours(fixturedef: Any) -> bool:
    return str(getattr(fixturedef.func, "__module__", "")).startswith("tests")
