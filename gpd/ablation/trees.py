"""Where the runs of an ablation happen: small trees, each for some stages of dvc.yaml.

.work/ablation/base-KEY/   what all runs share: data, the reference, evaluations of the undistilled teacher
.work/ablation/run-KEY/    a run's students and their evaluation
.work/ablation/KEY.json    its result
Keys are those of gpd/stages.py: other params, data or code are other work, and the same training has the same tree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd.ablation.grid import GRID_FILE
from gpd.ablation.plan import Run
from gpd.artifacts import WORK, UserError, hash_json
from gpd.evaluation.decoding import FOLDER as DECODED
from gpd.params import Params
from gpd.stages import PIPELINE, Identify, Stages, identities, load_stages, outside, stage_keys, with_needs

FOLDER = WORK / "ablation"
TRAINING, MEASURING = "distill@", "evaluate@"  # how the names of these stages of dvc.yaml begin


@dataclass(frozen=True)
class Code:
    """What decides a result beside its params.

    Attributes:
        root: where its dvc.yaml lies.
        identify: of the files that stages read, code among them.
        params: those that it reads, by section; None if it reads all.
    """

    root: Path
    identify: Identify
    params: Mapping[str, Any] | None = None

    def read(self, params: Params) -> dict[str, Any]:
        """What it reads of params."""
        values = params.model_dump()
        return values if self.params is None else shared(values, self.params)


LISTS = ("distill.stages", "sample.subjects")  # whose entries have names of their own in every run


def shared(values: Mapping[str, Any], known: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested values less the keys that `known` lacks."""
    kept = {}
    for key, value in values.items():
        inside, where = known.get(key), f"{path}.{key}".lstrip(".")
        if isinstance(value, Mapping) and isinstance(inside, Mapping) and where not in LISTS:
            kept[key] = shared(value, inside, where)
        elif key in known:
            kept[key] = value
    return kept


def code_at_hand() -> Code:
    """That of the working directory."""
    return Code(Path(), identities(Path()))


@dataclass(frozen=True)
class Tree:
    """Stages that run in a folder.

    Attributes:
        keys: of these stages, by name; a key may be of a stage before them, too.
        inputs: what they read and none of them makes: path in the tree -> where it lies. A run has the clips that the
            base has decoded: every evaluation sets its student against the same ones.
    """

    folder: Path
    params: Params
    stages: Stages
    keys: dict[str, str]
    inputs: dict[str, Path]

    def named(self, beginning: str) -> Stages:
        """Its stages whose names begin so."""
        return {name: stage for name, stage in self.stages.items() if name.startswith(beginning)}


def base_tree(params: Params, code: Code) -> Tree:
    """Evaluations of what nothing has trained, and all that they need."""
    values = code.read(params)
    stages = load_stages(code.root, values)
    needs = {name: with_needs(stages, name) for name in stages if name.startswith(MEASURING)}
    floors = [name for name, needed in needs.items() if not any(need.startswith(TRAINING) for need in needed)]
    stages = with_needs(stages, *floors)
    keys = stage_keys(stages, values, code.identify)
    return Tree(FOLDER / f"base-{hash_json(keys)[:16]}", params, stages, keys, _in_repository(stages))


def run_tree(run: Run, base: Tree, code: Code) -> Tree:
    """A run's training and its last student's evaluation.

    Raises:
        UserError: the run's params change what all runs share.
    """
    values = code.read(run.params)
    stages = with_needs(load_stages(code.root, values), MEASURING + run.last_stage)
    keys = stage_keys(stages, values, code.identify)
    for name in base.stages:
        if keys.get(name, base.keys[name]) != base.keys[name]:
            raise UserError(f"{GRID_FILE}: variants.{run.variant}: changes stage {name}, which all runs share")
    shared = {out: base.folder / out for stage in base.stages.values() for out in stage.outs}
    shared[str(DECODED)] = base.folder / DECODED
    return Tree(
        folder=FOLDER / f"run-{keys[TRAINING + run.last_stage][:16]}",
        params=run.params,
        stages={name: stage for name, stage in stages.items() if name not in base.stages},
        keys=keys,
        inputs=_in_repository(stages) | shared,
    )


def result_file(run: Run, tree: Tree, base: Tree) -> Path:
    """Where a run's result lies."""
    return FOLDER / f"{hash_json([tree.keys[MEASURING + run.last_stage], base.folder.name])[:16]}.json"


def done_file(tree: Tree, name: str) -> Path:
    """Where an empty file in the tree says that a stage is finished."""
    return Path(".done") / f"{name}-{tree.keys[name][:16]}"


def _in_repository(stages: Stages) -> dict[str, Path]:
    return {path: Path(path) for path in (str(PIPELINE), *outside(stages)) if not Path(path).is_absolute()}
