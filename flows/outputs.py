"""What the stages of a work tree read and write, from its dvc.yaml: no stage and no folder is listed here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpd.artifacts import MANIFEST, UserError
from gpd.documents.reading import parse_yaml
from gpd.params import student_path
from gpd.stages import Stage, Stages, load_stages, makers, with_needs

EVALUATION = "evaluation.json"
MODEL = "model"  # section of params.yaml


def params_in(tree: Path) -> dict[str, Any]:
    """params.yaml of a tree, as plain values."""
    return dict(parse_yaml((tree / "params.yaml").read_text(encoding="utf-8")))


def stages_in(tree: Path) -> Stages:
    """The stages of a tree's dvc.yaml, opened by its params."""
    return load_stages(tree, params_in(tree))


def uses_model(tree: Path, stage: str) -> bool:
    """Whether a stage computes with networks, so that it needs a GPU: it reads the model's settings or its folder."""
    params, found = params_in(tree), stages_in(tree)[stage]
    return params[MODEL]["path"] in found.deps or any(key.partition(".")[0] == MODEL for key in found.params)


def written(tree: Path, file: str) -> list[Path]:
    """The files of a name that stages have written, in the order of the stages."""
    return [path for stage in stages_in(tree).values() for path in _written_by(tree, stage, file)]


def _written_by(tree: Path, stage: Stage, file: str) -> Iterator[Path]:
    places = (tree / out for out in stage.outs)
    yield from (path for out in places for path in (out, out / file) if path.name == file and path.is_file())


def artefacts(tree: Path) -> list[Path]:
    """The folders with a manifest that stages read or write, each after what it was made from."""
    places = (place for stage in stages_in(tree).values() for place in (*stage.deps, *stage.outs))
    return [tree / place for place in dict.fromkeys(places) if (tree / place / MANIFEST).is_file()]


def evaluation_of(tree: Path, subject: str) -> str:
    """The stage that measures a subject.

    Raises:
        UserError: none does.
    """
    found = [stage.name for stage in _evaluations(stages_in(tree)) if _item(stage.name) == subject]
    if not found:
        known = ", ".join(_item(stage.name) for stage in _evaluations(stages_in(tree)))
        raise UserError(f"subject {subject!r}: no stage of dvc.yaml measures it; there are {known}")
    return found[0]


def evaluations_of_teacher(tree: Path) -> set[str]:
    """The stages that measure what no training comes before: the undistilled teacher."""
    stages = stages_in(tree)
    names = [stage.name for stage in _evaluations(stages)]
    return {name for name in names if not any(map(_trains, with_needs(stages, name).values()))}


def training_of(tree: Path, student: str) -> str:
    """The stage that writes a student.

    Raises:
        UserError: none does.
    """
    found = makers(student_path(student), stages_in(tree))
    if not found:
        raise UserError(f"student {student!r}: no stage of dvc.yaml trains it")
    return found[0]


def _evaluations(stages: Stages) -> list[Stage]:
    return [stage for stage in stages.values() if any(Path(out).name == EVALUATION for out in stage.outs)]


def _trains(stage: Stage) -> bool:
    return any(Path(out).parent == Path(student_path("")) for out in stage.outs)


def _item(name: str) -> str:
    """`k8` of `evaluate@k8`."""
    return name.partition("@")[2]
