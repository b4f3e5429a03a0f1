"""A session of pytest that has collected and prepared everything and tries mutants in processes forked from it."""

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

from tests.mutants.operators import Mutant
from tests.mutants.reach import Reach, Tracing
from tests.mutants.swap import Living
from tests.mutants.tries import SURVIVED, forked, limit_processor

UNREACHED = "survived, reached by no test"


class Session:
    """A plugin of pytest.

    Attributes:
        seconds: of the processor, of tests for a mutant; the first test runs whatever it costs.
        mutants: the next one is asked for when the one before is done.
        outcomes: called with (mutant, outcome) once each is known.
    """

    def __init__(
        self,
        room: str,
        paths: list[str],
        seconds: float,
        mutants: Iterable[Mutant],
        outcomes: Callable[[Mutant, str], None],
    ) -> None:
        self.paths, self.seconds, self.mutants, self.outcomes = paths, seconds, mutants, outcomes
        self.reach = Reach.load(room)
        self.items: dict[str, pytest.Item] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """The same examples for each mutant, and no search for the simplest that fails."""
        phases = (Phase.explicit, Phase.generate)
        profile = settings.get_profile("gpd")
        settings.register_profile("mutants", profile, derandomize=True, database=None, phases=phases)
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self._prepare(session)
        living = Living(self.paths)
        gc.collect()
        gc.freeze()
        gc.disable()
        for mutant in self.mutants:
            self.outcomes(mutant, self._tried(mutant, living))
        return True

    def _prepare(self, session: pytest.Session) -> None:
        """Runs tests that are new, and those that set up what all share."""
        todo = [i for i in session.items if i.nodeid not in self.reach.seconds or i.nodeid in self.reach.openers]
        tracing = Tracing(self.reach, self.paths)
        session.config.pluginmanager.register(tracing)
        for _, items in groupby(todo, key=lambda item: item.path):
            ours = list(items)
            for failed in tracing.run(ours, self._elsewhere(ours[-1])):
                print(f"fails without a mutant, and counts for nothing: {failed}", flush=True)
            self.reach.save()  # a file at a time: what a break leaves is not measured again
        session.config.pluginmanager.unregister(tracing)

    def _elsewhere(self, item: pytest.Item) -> pytest.Item:
        return next((other for other in self.items.values() if other.path != item.path), item)

    def _tried(self, mutant: Mutant, living: Living) -> str:
        reaching = self.reach.tests(mutant)
        outcome = self._outcome(reaching or self.reach.beside(mutant), lambda: living.put(mutant))
        if outcome == SURVIVED:
            outcome = self._outcome(self.reach.of_processes(mutant), lambda: _announce(mutant))
        return outcome if reaching or outcome != SURVIVED else UNREACHED

    def _outcome(self, names: list[str], put: Callable[[], bool]) -> str:
        tests = list(self._affordable(names))
        return forked(lambda: self._run(tests, put), self._patience(tests)) if tests else SURVIVED

    def _affordable(self, tests: list[str]) -> Iterator[pytest.Item]:
        spent = 0.0
        for test in tests:
            if test in self.items and (not spent or spent + self.reach.seconds[test] < self.seconds):
                spent += self.reach.seconds[test]
                yield self.items[test]

    def _patience(self, tests: list[pytest.Item]) -> float:
        return 60 + 20 * sum(self.reach.seconds[item.nodeid] for item in tests)

    def _run(self, tests: list[pytest.Item], put: Callable[[], bool]) -> int:
        """In the forked process: 0 if all tests pass, 1 if one fails, 3 if the mutant cannot be put."""
        if not put():
            return 3
        for item, following in zip(tests, [*tests[1:], tests[-1]], strict=True):
            limit_processor(2 + 10 * self.reach.seconds[item.nodeid])
            reports: list[Any] = runtestprotocol(item, log=False, nextitem=following)
            if any(report.failed for report in reports):
                return 1
        return 0


def _announce(mutant: Mutant) -> bool:
    os.environ.update(announced(mutant))
    return True


def announced(mutant: Mutant) -> dict[str, str]:
    """What tells a Python process that a test starts of the mutant, by tests/mutants/site/sitecustomize.py."""
    paths = [f"{Path.cwd()}/tests/mutants/site", str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    return {"GPD_MUTANT": f"{mutant.path}:{mutant.number}", "PYTHONPATH": os.pathsep.join(paths)}
