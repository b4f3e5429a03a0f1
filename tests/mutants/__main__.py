"""`python -m tests.mutants gpd/core`: changes the code in small ways and counts for which of them a test fails.

Those that were killed are not tried again while gpd/ stays as it is; survivors are, for tests may have come.
"""

import argparse
import json
import os
import random
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gpd.artifacts import write_json
from tests.attack.campaign import RESULTS, commit, machine
from tests.mutants.operators import Mutant, mutants_of
from tests.mutants.reach import kept
from tests.mutants.sample import drawn, share
from tests.mutants.session import Session
from tests.mutants.tries import LEFT_OUT

EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
ENOUGH = 0.85
OPTIONS = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "tmp_path_retention_policy=none"]


class Campaign:
    """Mutants of a room, and what became of each."""

    def __init__(self, given: argparse.Namespace, mutants: list[Mutant]) -> None:
        self.given, self.file = given, kept(given.room, "outcomes.jsonl")
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        known = dict(json.loads(line) for line in lines)
        self.equivalent = yaml.safe_load(EQUIVALENT.read_text()) or {}
        self.outcomes = {m.name: known[m.name] for m in mutants if m.name in known and m.name not in self.equivalent}
        self.mutants = [mutant for mutant in mutants if mutant.name not in self.equivalent]
        self.num_equivalent = len(mutants) - len(self.mutants)
        self.started = time.monotonic()
        self.out = os.fdopen(os.dup(1), "w", buffering=1)

    def todo(self) -> Iterator[Mutant]:
        """What was never tried, then survivors."""
        ends = time.monotonic() + 60 * self.given.minutes
        tried = [m for m in self.mutants if self.outcomes.get(m.name, "").startswith("survived")]
        for mutant in [m for m in self.mutants if m.name not in self.outcomes] + tried:
            if time.monotonic() < ends:
                yield mutant

    def note(self, mutant: Mutant, outcome: str) -> None:
        self.outcomes[mutant.name] = outcome
        with self.file.open("a") as file:
            file.write(json.dumps([mutant.name, outcome]) + "\n")
        if outcome.startswith("survived"):
            print(f"{mutant.first}: {mutant.name}: {outcome}", file=self.out)

    def finish(self, num_all: int) -> int:
        counts = Counter(self.outcomes.values())
        survivors = sorted(name for name, outcome in self.outcomes.items() if outcome.startswith("survived"))
        killed = sum(number for outcome, number in counts.items() if outcome.startswith("killed"))
        part, low, high = share(killed, killed + len(survivors))
        of_all = (
            "of all"
            if killed + len(survivors) + self.num_equivalent + counts[LEFT_OUT] == num_all
            else (f"95 % interval of a sample: {low:.1%} to {high:.1%}")
        )
        summary = {
            "command": shlex.join(["python", "-m", "tests.mutants", *sys.argv[1:]]),
            "told": f"mutants for which a test fails: {part:.1%} ({of_all})",
            "mutants": num_all,
            "counts": dict(sorted(counts.items()))
            | {"equivalent": self.num_equivalent, "not begun": len(self.mutants) - len(self.outcomes)},
            "survivors": survivors,
            "minutes": round((time.monotonic() - self.started) / 60, 1),
            "commit": commit(),
            "machine": machine(),
        }
        everything = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        write_json(RESULTS, {**everything, self.given.room: summary})
        print(f"{self.given.room}: {summary['told']}; {summary['counts']}", file=self.out)
        return 0 if part >= ENOUGH else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("room", help="a folder below gpd/, such as gpd/core; its tests are in tests/core")
    parser.add_argument("--minutes", type=float, default=20.0, help="no mutant is begun later")
    parser.add_argument("--sample", type=int, default=400, help="so many mutants, of each module its share")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", default="", help="a part of the mutants' names")
    parser.add_argument("--seconds", type=float, default=8.0, help="of the processor, of tests for a mutant")
    parser.add_argument("--tests", nargs="*", help="folders or files of tests, if not the room's")
    parser.add_argument("--skip", default="", help="tests to leave out, in the words of pytest's -k")
    given = parser.parse_args()
    paths = sorted(str(path) for path in Path(given.room).rglob("*.py"))
    every = {path: mutants_of(path) for path in paths}
    order = random.Random(given.seed)
    mutants = [mutant for mutant in drawn(every, given.sample, order) if given.only in mutant.name]
    campaign = Campaign(given, mutants)
    session = Session(given.room, paths, given.seconds, campaign.todo(), campaign.note)
    tests = given.tests or [given.room.replace("gpd", "tests", 1)]
    base = f"--basetemp={os.environ.get('TMPDIR', '/tmp')}/gpd-mutants-{os.getpid()}"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen = ["-k", f"not ({given.skip})"] if given.skip else []
    pytest.main([*OPTIONS, base, *chosen, *tests], plugins=[session])
    return campaign.finish(sum(map(len, every.values())))


if __name__ == "__main__":
    sys.exit(main())
