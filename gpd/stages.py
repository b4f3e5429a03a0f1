"""dvc.yaml as a table, and one definition of "the same work".

A stage's key is a hash of its command, of the settings that determine its output, and of what goes in: keys of the
stages that make its inputs, identities of all else, code included. Equal keys mean equal work.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import MANIFEST, WORK, UserError, hash_file, hash_files, hash_json, list_files
from gpd.documents import Identity, dump, flatten
from gpd.documents.reading import parse_yaml

PIPELINE = Path("dvc.yaml")
# Keys that change no output: where the base model lies, and how many broken clips are too many to write one.
CHANGE_NOTHING = ("model.path", "model.hub", "encode.max_broken_share")
CODE = "gpd/"
CACHES = "__pycache__"

Identify = Callable[[str], str | None]  # path of a dependency -> what lies there; None if nothing is said of it
_NAMED = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Stage:
    """One stage, `foreach` opened and every `${..}` filled in.

    Attributes:
        name: `report`, `distill@k8`.
        params: dotted keys of params.yaml.
        deps: files and folders that it reads: data, base models, code.
        outs: files and folders that it writes, metrics among them.
    """

    name: str
    command: str
    params: tuple[str, ...]
    deps: tuple[str, ...]
    outs: tuple[str, ...]


Stages = dict[str, Stage]


def load_stages(root: Path, params: Mapping[str, Any]) -> Stages:
    """The stages of a pipeline by name, in the order of dvc.yaml and of the params that open its lists.

    Raises:
        UserError: dvc.yaml is missing or not valid YAML, or names a key that params do not have.
    """
    path = root / PIPELINE
    try:
        blocks = _parsed(path.read_text(encoding="utf-8"))["stages"]
        return {stage.name: stage for name, block in blocks.items() for stage in _open(name, block, params)}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run this in a checkout of the repository") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not valid YAML with `stages`: {error}") from None


@cache
def _parsed(text: str) -> Any:
    """Kept, for an ablation opens the same pipeline for hundreds of params; nothing may change it."""
    return parse_yaml(text)


def _open(name: str, block: dict[str, Any], params: Mapping[str, Any]) -> Iterator[Stage]:
    """A plain block is one stage; a `foreach` one for each key of a mapping or each value of a list."""
    if "foreach" not in block:
        yield _stage(name, block, params)
        return
    each = _fill(block["foreach"], params, name)
    items = each.items() if isinstance(each, Mapping) else ((item, item) for item in each)
    for key, item in items:
        yield _stage(f"{name}@{key}", block["do"], {**params, "key": key, "item": item})


def _stage(name: str, block: dict[str, Any], known: Mapping[str, Any]) -> Stage:
    def listed(*sections: str) -> tuple[str, ...]:
        entries = (entry for section in sections for entry in block.get(section, []))
        paths = (_path_of(entry) for entry in entries)
        return tuple(str(_fill(path, known, name)) for path in paths)

    command = str(_fill(block["cmd"], known, name))
    return Stage(name, command, listed("params"), listed("deps"), listed("outs", "metrics", "plots"))


def _path_of(entry: Any) -> str:
    """An entry is a path, or a path with options: {path: {cache: false}}."""
    path, *_ = entry if isinstance(entry, Mapping) else [entry]
    return path


def _fill(text: str, known: Mapping[str, Any], stage: str) -> Any:
    """The text with each `${a.b}` replaced; the value itself if the text is nothing else."""

    def value(match: re.Match[str]) -> Any:
        found = value_at(known, match[1])
        if found is None:
            raise UserError(f"{PIPELINE}: {stage}: {match[0]}: params.yaml has no such key")
        return found

    whole = _NAMED.fullmatch(text)
    return value(whole) if whole else _NAMED.sub(lambda match: str(value(match)), text)


def value_at(values: Any, key: str) -> Any:
    """The value of a dotted key in nested mappings; None if there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


# ---- what waits for what


def makers(path: str, stages: Stages) -> list[str]:
    """The stages that write a path, something in it, or a folder around it."""
    return [stage.name for stage in stages.values() if any(_overlap(path, out) for out in stage.outs)]


@cache
def _overlap(one: str, other: str) -> bool:
    """Kept, for an ablation asks of each of a few pairs ten thousand times."""
    pairs = zip(_parts(one), _parts(other), strict=False)
    return all(mine == theirs for mine, theirs in pairs)


def _parts(path: str) -> tuple[str, ...]:
    """With the root before them."""
    return (Path(path).root, *Path(path).parts)


def order(stages: Stages) -> list[str]:
    """The names, each after those whose outputs it reads."""
    waits = {name: [maker for dep in stage.deps for maker in makers(dep, stages)] for name, stage in stages.items()}
    return list(TopologicalSorter(waits).static_order())


def with_needs(stages: Stages, *wanted: str) -> Stages:
    """The wanted stages and all whose outputs they need, directly or not, in the order of dvc.yaml."""
    needed: set[str] = set()
    new = set(wanted)
    while new:
        needed |= new
        new = {maker for name in new for dep in stages[name].deps for maker in makers(dep, stages)} - needed
    return {name: stage for name, stage in stages.items() if name in needed}


def outside(stages: Stages) -> list[str]:
    """Data and models that these stages read and none of them makes; code is not among them."""
    deps = dict.fromkeys(dep for stage in stages.values() for dep in stage.deps)
    return [dep for dep in deps if not dep.startswith(CODE) and not makers(dep, stages)]


# ---- the same work


def settings(stage: Stage, params: Mapping[str, Any]) -> dict[str, Any]:
    """The values that determine a stage's output, by dotted keys.

    A value that is only the place of a dependency is left out: the identity of what lies there stands for it.
    """
    found = flatten({key: value_at(params, key) for key in stage.params})
    return {key: value for key, value in found.items() if value not in stage.deps and not _changes_nothing(key)}


def settings_of(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a stage of the dvc.yaml in the working directory.

    They stand in the stage's manifest and run record, name the folder of its unfinished work, and are what its readers
    check.

    Raises:
        UserError: there is no dvc.yaml, or no such stage in it.
    """
    stages = load_stages(Path(), params)
    if name not in stages:
        raise UserError(f"{PIPELINE}: no stage {name!r}; there are {', '.join(stages)}")
    return settings(stages[name], params)


def work_folder(name: str, settings: Mapping[str, Any], inputs: Mapping[str, Identity]) -> Path:
    """.work/<stage>/<item>-<fingerprint>: where unfinished work waits, met by equal settings and inputs only."""
    stage, _, item = name.partition("@")
    fingerprint = hash_json([settings, dump(inputs)])[:16]
    return WORK / stage / (f"{item}-{fingerprint}" if item else fingerprint)


def _changes_nothing(key: str) -> bool:
    return any(key == known or key.startswith(f"{known}.") for known in CHANGE_NOTHING)


def stage_key(stage: Stage, params: Mapping[str, Any], inputs: Any) -> str:
    """A hash of all that determines what a stage makes.

    Args:
        inputs: a JSON value that stands for the content of its dependencies, in their order.
    """
    return hash_json([stage.command, settings(stage, params), inputs])


def stage_keys(stages: Stages, params: Mapping[str, Any], identify: Identify) -> dict[str, str]:
    """Stage -> its key, in an order in which they can run.

    Args:
        identify: gives the identity of dependencies that none of these stages makes; a path without one
            stands for itself.
    """
    keys: dict[str, str] = {}

    def stands_for(dep: str) -> Any:
        return [keys[maker] for maker in makers(dep, stages)] or identify(dep) or dep

    for name in order(stages):
        keys[name] = stage_key(stages[name], params, [stands_for(dep) for dep in stages[name].deps])
    return keys


def identities(root: Path) -> Identify:
    """What lies at paths under `root`: by its manifest, else by the bytes of its files. Each is looked at once."""
    return cache(lambda path: content_of(root / path))


def content_of(path: Path) -> str:
    """The content hash of a file, of an artefact, or of a folder without its compiled code.

    Raises:
        UserError: nothing is there.
    """
    if (path / MANIFEST).is_file():
        return documents.identify(path).content
    if path.is_dir():
        return hash_files({name: entry for name, entry in list_files(path).items() if CACHES not in Path(name).parts})
    if not path.is_file():
        raise UserError(f"{path}: no such file or folder; a stage of {PIPELINE} depends on it")
    return hash_file(path)
