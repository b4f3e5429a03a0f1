"""`gpd status`: model, devices, what is stale and what it cost here last time, unfinished work, disk, registry."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import MANIFEST, WORK, UserError
from gpd.documents import RunRecord
from gpd.documents.reading import parse_json
from gpd.params import Params
from gpd.stages import Stages, load_stages, with_needs
from gpd.upkeep.clean import KINDS, size_of

WIDTH = 12  # of the names before the lines
MINUTE, HOUR = 60, 3600
NEVER = "never run here"


@dataclass(frozen=True)
class Subject:
    """Something that is reported on.

    Attributes:
        lines: what there is to say of it.
    """

    name: str
    lines: Callable[[Params], Iterable[str]]


def run(params: Params) -> None:
    """Prints all of it; what cannot be found out is said in its place."""
    for subject in SUBJECTS:
        try:
            lines = list(subject.lines(params))
        except UserError as error:
            lines = [str(error)]
        for place, line in enumerate(lines):
            print(f"{'' if place else subject.name:{WIDTH}}{line}", flush=True)


def model_lines(params: Params) -> Iterator[str]:
    """The base model and whether its weights are known by hash."""
    model, folder = params.model, Path(params.model.path)
    size = f"{model.num_frames} frames of {model.height} x {model.width} px, {model.grid_steps} noise levels"
    if not (folder / MANIFEST).is_file():
        yield f"{folder}: not there yet; `gpd fetch`"
    else:
        yield f"{folder} ({documents.load_manifest(folder).content[:12]}), {size}"


def device_lines(params: Params) -> Iterator[str]:
    """What networks run on here."""
    import torch

    number = torch.cuda.device_count()
    names = sorted({torch.cuda.get_device_name(index) for index in range(number)})
    if number:
        yield f"{number} x {', '.join(names)}"
    else:
        yield f"{os.cpu_count()} CPU cores, {torch.backends.cpu.get_cpu_capability()}; no GPU"


def stage_lines(params: Params) -> Iterator[str]:
    """Which DVC stages are stale, and what each took when it ran here last."""
    known = load_stages(Path(), params.model_dump())
    stale = stale_stages(known)
    yield f"{len(known) - len(stale)} of {len(known)} are up to date"
    seconds = last_seconds(read_runs())
    for name in (name for name in known if name in stale):
        took = f"{duration(seconds[name])} when it ran here last" if name in seconds else NEVER
        yield f"stale: {name} ({took})"
    if stale:
        sure = sum(seconds.get(name, 0.0) for name in stale)
        unsure = "" if all(name in seconds for name in stale) else " and what has never run here: `gpd plan`"
        yield f"`dvc repro`: about {duration(sure)}{unsure}"


def stale_stages(known: Stages) -> set[str]:
    """Those that DVC finds changed, and those whose inputs they will make anew.

    `dvc repro --dry` would not do: for a stage whose params have changed it may say that its result is cached.

    Raises:
        UserError: DVC could not say.
    """
    words = [str(Path(sys.executable).with_name("dvc")), "status", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"})
    if done.returncode:
        raise UserError(f"dvc: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
    return with_what_follows(set(json.loads(done.stdout)), known)


def with_what_follows(names: set[str], known: Stages) -> set[str]:
    """Stages, and all that need them, directly or not."""
    return {name for name in known if names & with_needs(known, name).keys()}


def read_runs(folder: Path = WORK / "runs") -> Iterator[RunRecord]:
    """The records of executions here; one that cannot be read is passed over."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield RunRecord.model_validate(parse_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, UserError):
            continue


def last_seconds(runs: Iterable[RunRecord]) -> dict[str, float]:
    """Stage -> seconds of its latest execution that ended well."""
    done = [run for run in runs if run.exit_code == 0 and run.ended]
    return {run.stage: seconds_of(run) for run in sorted(done, key=lambda run: run.started)}


def seconds_of(run: RunRecord) -> float:
    """Between its start and its end."""
    return (datetime.fromisoformat(str(run.ended)) - datetime.fromisoformat(run.started)).total_seconds()


def unfinished_lines(params: Params) -> Iterator[str]:
    """Train states that wait to be gone on from."""
    states = sorted((WORK / "distill").glob("*/state.json"))
    for path in states:
        iteration = read_iteration(path)
        yield f"{path.parent}: at iteration {iteration}; the same command goes on from there"
    if not states:
        yield "nothing"


def read_iteration(marker: Path) -> Any:
    """Where a train state stands; a question mark if it cannot be read."""
    try:
        found: Mapping[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
        return found["iteration"]
    except (OSError, ValueError, KeyError, TypeError):
        return "?"


def disk_lines(params: Params) -> Iterator[str]:
    """What lies in the work folder and what of it can be made again."""
    sizes = {kind.name: sum(size_of(path) for path in kind.find()) for kind in KINDS}
    parts = [f"{name} {gigabytes(size)}" for name, size in sizes.items() if size]
    yield f"{WORK} {gigabytes(size_of(WORK))}, DVC's cache {gigabytes(size_of(Path('.dvc/cache')))}"
    yield f"`gpd clean --older-than 0m` would free {gigabytes(sum(sizes.values()))}" + (
        f": {', '.join(parts)}" if parts else ""
    )


def registry_lines(params: Params) -> Iterator[str]:
    """Where the registry is, how many checkpoints it has, and the aliases."""
    from gpd.registry import current_aliases, list_checkpoints, open_registry
    from gpd.registry.engine import registry_url, shown

    with open_registry() as session:
        found = list_checkpoints(session=session)
        aliases = current_aliases(session=session)
    owned = ", ".join(f"{alias} = {content[:12]}" for alias, content in sorted(aliases.items())) or "no alias yet"
    yield f"{shown(registry_url())}: {len(found)} checkpoints; {owned}"


def duration(seconds: float) -> str:
    """In the two largest units that matter."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def gigabytes(size: float) -> str:
    """1 GB is 1e9 bytes."""
    return f"{size / 1e9:.2f} GB"


SUBJECTS = (
    Subject("model", model_lines),
    Subject("devices", device_lines),
    Subject("stages", stage_lines),
    Subject("unfinished", unfinished_lines),
    Subject("disk", disk_lines),
    Subject("registry", registry_lines),
)
