"""A campaign: cases in an order that the seed decides, a line kept for each, counts at the end.

First comes one case of each kind, then the repeats. Cases that were done at the same commit are not done again, so a
campaign may be run for a few minutes at a time, and its parts (`--only`) side by side.
"""

import functools
import json
import platform
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gpd.artifacts import write_json

RESULTS = Path("docs/robustness.json")
KEPT = Path(".work/attack")
FIRST, REPEATS, ALL = "distinct", "repeats", "all"


@dataclass(frozen=True)
class Result:
    """What became of a case: a word for the counts, what was seen if it is a defect, and what is counted beside it."""

    outcome: str
    defect: str = ""
    beside: dict[str, int] = field(default_factory=dict)


@dataclass
class Campaign:
    """Attributes:
    name: the word after `python -m tests.attack`.
    minutes: no case begins later.
    only, but: parts of the names of the cases to do now, and of those to leave for later.
        of: a workspace, if the campaign needs a finished one.
    """

    name: str
    minutes: float
    seed: int
    only: str = ""
    but: str = ""
    of: Path = Path()
    started: float = 0.0  # when the first cases could begin
    counts: Counter[str] = field(default_factory=Counter)
    planned: Counter[str] = field(default_factory=Counter)  # cases that are FIRST or REPEATS
    done: Counter[str] = field(default_factory=Counter)  # those of them with a result
    defects: list[str] = field(default_factory=list)

    @property
    def has_time(self) -> bool:
        return not self.started or time.monotonic() - self.started < 60 * self.minutes

    def run(
        self, cases: Iterable[str], attack: Callable[[str], Result], kind: Callable[[str], str] | None = None
    ) -> None:
        """All cases for which there is time, those first whose kind no case before them has; the others are counted.

        Args:
            kind: what a case tries; if there is none, each tries something else.
        """
        self.started = self.started or time.monotonic()
        known = self._known()
        for case, place in self._ordered(cases, kind):
            if case in known:
                self._count(case, known[case])
            elif self.has_time:
                self._keep(case, result := attack(case))
                self._count(case, result)
            else:
                self.counts["not begun"] += 1
                continue
            self.done[place] += 1

    def _ordered(self, cases: Iterable[str], kind: Callable[[str], str] | None) -> Iterator[tuple[str, str]]:
        """Each case with FIRST or REPEATS, as the seed decides."""
        ordered = sorted(case for case in cases if self.only in case and not (self.but and self.but in case))
        random.Random(self.seed).shuffle(ordered)
        if kind is None:
            yield from ((case, ALL) for case in ordered)
            return
        first: dict[str, str] = {}
        for case in ordered:
            first.setdefault(kind(case), case)
        repeats = sorted(set(ordered) - set(first.values()), key=ordered.index)
        self.planned.update({FIRST: len(first), REPEATS: len(repeats)})
        yield from ((case, FIRST) for case in first.values())
        yield from ((case, REPEATS) for case in repeats)

    def forget(self) -> None:
        """Does all cases again."""
        self._file.unlink(missing_ok=True)

    def finish(self, told: str) -> int:
        """Prints the counts and keeps them in RESULTS; returns the exit status."""
        summary = {
            "command": f"python -m tests.attack {self.name} --minutes {self.minutes:g} --seed {self.seed}"
            + "".join(f" --{word} {part}" for word, part in (("only", self.only), ("but", self.but)) if part),
            "told": told,
            "counts": dict(sorted(self.counts.items())),
            **{word: f"{self.done[word]} of {number}" for word, number in self.planned.items()},
            "defects": len(self.defects),
            "minutes": round((time.monotonic() - self.started) / 60, 1),
            "commit": commit(),
            "machine": machine(),
        }
        everything = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        write_json(RESULTS, {**everything, self.name: summary})
        counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.counts.items()))
        parts = "".join(f"{word} {self.done[word]} of {number}, " for word, number in self.planned.items())
        print(f"{self.name}: {parts}{counts}; {len(self.defects)} defects")
        return 1 if self.defects else 0

    def _count(self, case: str, result: Result) -> None:
        self.counts.update({result.outcome: 1, **result.beside})
        if result.defect:
            self.defects.append(case)
            print(f"{self.name}: {case}: {result.outcome}: {result.defect}", flush=True)

    @property
    def _file(self) -> Path:
        return KEPT / f"{self.name}-{self.seed}-{commit()[:12]}.jsonl"

    def _known(self) -> dict[str, Result]:
        if not self._file.exists():
            return {}
        rows = [json.loads(line) for line in self._file.read_text().splitlines()]
        return {row.pop("case"): Result(**row) for row in rows}

    def _keep(self, case: str, result: Result) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(json.dumps({"case": case, **asdict(result)}) + "\n")


@functools.cache
def commit() -> str:
    """Of the code under attack; with a plus if tracked files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "HEAD")[:12] + ("+" if git("status", "--porcelain", "-uno", "--", "gpd") else "")


def machine() -> str:
    """In a few words."""
    model = next((line.split(":")[1] for line in _cpu_lines() if line.startswith("model name")), platform.machine())
    return " ".join(f"{model}, {len([1 for line in _cpu_lines() if line.startswith('processor')])} cores".split())


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
