"""100,000 prompts, 1,000 shards, 5,000 iterations: memory and open files stay as they are."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gpd.core.randomness import Stream, nth_in_epochs
from tests.attack import miniature
from tests.attack.campaign import Campaign, Result
from tests.attack.command import import_all, start_command, wait_for

NUM_PROMPTS, NUM_SHARDS, ITERATIONS = 100_000, 1_000, 5_000
PROMPTS_IN_A_SHARD = 10  # that are really encoded, which takes longest
MAX_GROWTH = 400 * 2**20  # bytes of a command on all prompts beyond the same on three: some 4 kB a prompt
MAX_DRIFT = 32 * 2**20  # bytes between the second quarter of the iterations and the last
MAX_FILES = 100
MAX_SECONDS = 3_600.0


@dataclass
class Watched:
    """What a process took: memory of its own in bytes and open files, ten times a second."""

    seconds: float = 0.0
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def quarters(self) -> Iterator[int]:
        """The peak of the memory in each quarter of the time."""
        quarter = max(1, len(self.memory) // 4)
        yield from (max(self.memory[first : first + quarter]) for first in range(0, 4 * quarter, quarter))


def run(campaign: Campaign, folder: Path) -> str:
    import_all()
    told: list[str] = []
    few, many, shards = folder / "few", folder / "many", folder / "shards"
    miniature.lay_out(few)
    _enlarge(few, many, NUM_PROMPTS)
    _enlarge(few, shards, NUM_SHARDS * PROMPTS_IN_A_SHARD)
    attacks = {
        "prepare": lambda: _beside(("prepare",), few, many, f"{NUM_PROMPTS:,} prompts", told),
        "plan": lambda: _plan(many, told),
        "order": lambda: _order(told),
        "prepare for shards": lambda: _beside(("prepare",), few, shards, "those to encode", told),
        "encode": lambda: _beside(("encode",), few, shards, f"{NUM_SHARDS:,} shards", told),
        "start": lambda: _beside(("distill", "k4"), few, shards, f"{NUM_SHARDS:,} shards", told),
        "loop": lambda: _loop(few, told),
    }
    campaign.forget()  # each command needs what the one before has written
    for case, attack in attacks.items():
        campaign.run([case], lambda _, attack=attack: attack())  # type: ignore[misc]
        print(told[-1], flush=True)
    return "; ".join(told)


def _enlarge(few: Path, folder: Path, num_prompts: int) -> None:
    """The same workspace with so many prompts, in NUM_SHARDS shards."""
    shutil.copytree(few, folder)
    lines = "".join(f"prompt number {number} of many\n" for number in range(num_prompts))
    (folder / "data/source/prompts.txt").write_text(lines)
    _change(folder, "encode", {"samples_per_shard": num_prompts // NUM_SHARDS})


def _change(folder: Path, section: str, changes: dict[str, Any]) -> None:
    path = folder / "params.yaml"
    raw = yaml.safe_load(path.read_text())
    raw[section] |= changes
    path.unlink()
    path.write_text(yaml.safe_dump(raw, sort_keys=False))


def watch(folder: Path, words: tuple[str, ...]) -> Watched:
    """A command to its end."""
    seen, began = Watched(), time.monotonic()
    process = start_command(folder, words, is_hurried=False)
    for path in _while_running(process):
        try:
            seen.memory.append(_private_bytes(path))
            seen.files.append(len(list((path / "fd").iterdir())))
        except (OSError, StopIteration):
            break  # it has ended between two looks
        time.sleep(0.1)
    ended = wait_for(process, folder, MAX_SECONDS)
    assert ended.code == 0, ended
    seen.seconds = time.monotonic() - began
    return seen


def _while_running(process: int) -> Iterator[Path]:
    path = Path(f"/proc/{process}")
    while "Z" not in (path / "stat").read_text().rpartition(")")[2].split()[0]:
        yield path


def _private_bytes(path: Path) -> int:
    """Without pages of files, which the system may take back, and so without mapped shards."""
    lines = (path / "status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def _plan(many: Path, told: list[str]) -> Result:
    """What `encode` does before it loads a model."""
    from gpd.data.jobs import Work
    from gpd.data.plan import plan
    from gpd.params import load_params

    began = time.process_time()
    with contextlib.chdir(many):
        jobs = plan(load_params())
        missing = Work(Path(".work/encode/some")).missing(jobs)
    seconds = time.process_time() - began
    told.append(f"encode's plan: {NUM_PROMPTS:,} prompts in {len(missing):,} jobs, {seconds:.1f} s of one core")
    return Result("bounded") if seconds < 60 else Result("unbounded", f"{seconds:.0f} s")


def _beside(words: tuple[str, ...], few: Path, many: Path, what: str, told: list[str]) -> Result:
    """A command on few prompts and on many."""
    small, large = watch(few, words), watch(many, words)
    growth, files = max(large.memory) - max(small.memory), max(large.files)
    told.append(
        f"{' '.join(words)}: {what} in {large.seconds:.0f} s, {growth / 2**20:+.0f} MiB beside three prompts, "
        f"{files} open files at most"
    )
    if growth > MAX_GROWTH:
        return Result("unbounded", f"{growth / 2**20:.0f} MiB more")
    return Result("unbounded", f"{files} open files") if files > MAX_FILES else Result("bounded")


def _order(told: list[str]) -> Result:
    """The order of a million prompts."""
    began, number = time.process_time(), 100_000
    for n in range(number):
        nth_in_epochs(n, 10**6, seed=0, stream=Stream.CLIP)
    each = (time.process_time() - began) / number
    told.append(f"nth_in_epochs of 1,000,000: {1e6 * each:.1f} us a sample")
    return Result("bounded") if each < 1e-3 else Result("unbounded", f"{each:g} s a sample")


def _loop(few: Path, told: list[str]) -> Result:
    raw = yaml.safe_load((few / "params.yaml").read_text())
    stages = raw["distill"]["stages"]
    stages["k4"]["iterations"] = ITERATIONS
    _change(few, "distill", {"stages": stages})
    seen = watch(few, ("distill", "k4"))
    _, second, _, last = seen.quarters()
    told.append(
        f"{ITERATIONS:,} iterations in {seen.seconds:.0f} s: {(last - second) / 2**20:+.1f} MiB from the second "
        f"quarter to the last, {max(seen.files)} open files at most"
    )
    return Result("bounded") if last - second <= MAX_DRIFT else Result("unbounded", f"{last - second} bytes more")
