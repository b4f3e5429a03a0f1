"""What flows learn of a pipeline from its dvc.yaml, whatever its stages and folders are called."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import outputs
from flows.results import measured
from flows.sections import section_with, subjects
from gpd.artifacts import UserError

PARAMS: dict[str, Any] = {
    "model": {"path": "data/base"},
    "distill": {"stages": {"k8": {"previous": "data/base"}}},
    "sample": {
        "num_prompts": 4,
        "seeds": [0],
        "subjects": {"reference": {"checkpoint": "data/base"}, "k8": {"checkpoint": "data/students/k8"}},
    },
}
PIPELINE = {
    "collect": {"cmd": "gpd collect", "outs": ["data/prompts"]},
    "distill": {
        "foreach": "${distill.stages}",
        "do": {
            "cmd": "gpd distill ${key}",
            "deps": ["data/prompts", "${item.previous}"],
            "params": ["model", "distill.stages.${key}"],
            "outs": ["data/students/${key}"],
        },
    },
    "measure": {
        "foreach": "${sample.subjects}",
        "do": {
            "cmd": "gpd measure ${key}",
            "deps": ["${model.path}", "${item.checkpoint}"],
            "outs": ["data/found/${key}/clips", {"data/found/${key}/evaluation.json": {"cache": False}}],
        },
    },
    "page": {"cmd": "gpd page", "deps": ["data/found", "data/students"], "params": ["page"], "outs": ["data/page"]},
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A pipeline of other names than ours."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS, sort_keys=False))
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": PIPELINE}, sort_keys=False))
    return tmp_path


def test_a_stage_that_reads_the_model_wants_a_gpu(tree: Path) -> None:
    using = {name for name in outputs.stages_in(tree) if outputs.uses_model(tree, name)}
    assert using == {"distill@k8", "measure@reference", "measure@k8"}


def test_stages_are_found_by_what_they_write(tree: Path) -> None:
    assert outputs.evaluation_of(tree, "k8") == "measure@k8"
    assert outputs.evaluations_of_teacher(tree) == {"measure@reference"}
    assert outputs.training_of(tree, "k8") == "distill@k8"
    with pytest.raises(UserError, match=r"subject 'k4': no stage .* there are reference, k8"):
        outputs.evaluation_of(tree, "k4")
    with pytest.raises(UserError, match="student 'k4'"):
        outputs.training_of(tree, "k4")


def test_artefacts_come_after_what_they_were_made_from(tree: Path) -> None:
    places = ["data/page", "data/found/k8/clips", "data/students/k8", "data/base", "data/prompts", "data/other"]
    for place in places:
        (tree / place).mkdir(parents=True)
        (tree / place / "manifest.json").write_text("{}")
    found = [folder.relative_to(tree).as_posix() for folder in outputs.artefacts(tree)]
    assert found == ["data/prompts", "data/base", "data/students/k8", "data/found/k8/clips", "data/page"]
    assert outputs.written(tree, "manifest.json") == [
        tree / place / "manifest.json" for place in found if place != "data/base"
    ]


def test_settings_are_found_in_whatever_section_they_stand(tree: Path) -> None:
    assert section_with(PARAMS, "seeds", "num_prompts") == "sample"
    assert subjects(PARAMS) == ["reference", "k8"]
    with pytest.raises(UserError, match="no section has speed"):
        section_with(PARAMS, "speed")


def evaluation(checkpoint: str, name: str, forwards: int) -> dict[str, Any]:
    """An evaluation.json of one subject, of the teacher if the checkpoint is `base`."""
    sizes = ("num_prompts", "height", "width", "num_frames", "grid_steps", "diversity_prompts", "diversity_seeds")
    protocol = {"hash": "p", "prompts": "", "seeds": [0], "shift": 3.0, "negative_prompt": "", "teacher": "base"}
    subject = {"checkpoint": checkpoint, "solver": "euler", "steps": 6, "guidance_scale": 1.0, "forwards": forwards}
    return {
        "format": 1,
        "protocol": {**protocol, "reference_guidance_scale": 3.0, **dict.fromkeys(sizes, 4)},
        "subjects": {name: {**subject, "metrics": {}}},
    }


def test_students_come_before_the_teacher_and_are_called_as_their_evaluation(tree: Path) -> None:
    documents = {
        "k8": evaluation("student", "k4", 6),  # another student in k8's place
        "reference": evaluation("base", "reference", 96),
        "k4": evaluation("old", "k4", 12),  # of other params
    }
    for name, document in documents.items():
        (tree / "data" / "found" / name).mkdir(parents=True)
        (tree / "data" / "found" / name / "evaluation.json").write_text(json.dumps(document))
    assert [(one.name, one.is_teacher) for one in measured(tree)] == [("k8", False), ("reference", True)]
