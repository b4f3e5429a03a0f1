import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpd.artifacts import UserError
from gpd.distillation.objectives import Objective, check_objective, get_objective
from gpd.models.families import open_model
from gpd.models.network import VideoNetwork
from gpd.params import OBJECTIVES, Params
from tests.curricula import doubling_profile, student_subject, undistilled
from tests.distillation.test_trainer import settings
from tests.toy_family import ToyNetwork

PARALLEL_STAGES = {"k8": settings().stages["k8"].model_dump() | {"tail": 8}}
NAMES = sorted(path.stem for path in OBJECTIVES.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_every_file_holds_an_objective_that_params_accept(name: str) -> None:
    assert isinstance(get_objective(name), Objective)
    assert settings(objective=name).objective == name


@pytest.mark.parametrize("name", NAMES)
def test_every_role_that_an_objective_pays_stands_in_the_ledger(name: str) -> None:
    step = settings().stages["k8"]
    forwards = get_objective(name).forwards(settings(objective=name), step, previous_horizon=4)
    assert set(forwards) <= {"previous", "teacher", "student"}
    assert sum(forwards.values()) > 0


def test_mistakes_are_told_with_where_they_stand() -> None:
    check_objective(settings())
    with pytest.raises(UserError, match=r"grid\.yaml: x: distill.objective='piecewise_flow' has no hand-over"):
        check_objective(settings(objective="piecewise_flow"), "grid.yaml: x")


def test_a_share_of_a_block_needs_blocks() -> None:
    shares = {"start": 1.0, "end": 0.0}
    check_objective(settings(objective="parallel", teacher_share=shares, stages=PARALLEL_STAGES))
    with pytest.raises(UserError, match=r"^params.yaml: distill.teacher_share: start=1, end=0 must be 0: no stage has"):
        check_objective(settings(teacher_share=shares))


def test_the_first_stage_cannot_jump() -> None:
    stages = {name: stage.model_dump() for name, stage in settings().stages.items()}
    stages["k1"]["tail"] = 0
    with pytest.raises(UserError, match=r"distill.stages.k1.tail=0 must be 1: the first stage has no previous student"):
        check_objective(settings(stages=stages))


def test_the_room_of_objectives_opens_without_torch() -> None:
    code = "import sys, gpd.distillation.objectives; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def network(small_wan: Path) -> VideoNetwork:
    return open_model(small_wan).load_network(merge_padding=True)


def chain(**changes: object) -> Params:
    """k8 with heads, folded."""
    raw = doubling_profile()
    k8 = raw["distill"]["stages"]["k8"] | {"tail": 8, "previous": raw["model"]["path"]}
    fold = k8 | {"previous": "data/students/k8", "objective": "fold"}
    raw["distill"] |= {"objective": "parallel", "stages": {"k8": k8, "k8-fold": fold}} | changes
    raw["sample"]["subjects"] = undistilled(raw) | {name: student_subject(8) for name in ("k8", "k8-fold")}
    raw["sample"]["subjects"]["k8-fold"]["checkpoint"] = "data/students/k8-fold"
    return Params.model_validate(raw)


def test_a_chain_of_heads_ends_with_a_plain_network(network: VideoNetwork) -> None:
    params, folding = chain(), get_objective("fold")
    with pytest.raises(UserError, match=r"distill.stages.k8-fold.previous=data/students/k8: has no heads to fold"):
        folding.prepare(network, params, "k8-fold")
    for _ in range(2):  # the second stage of a chain goes on with the heads of the first
        get_objective("parallel").prepare(network, params, "k8")
        assert network.heads is not None
        assert network.heads.number == 48
    for name in ("gpd", "flow_map", "consistency", "piecewise_flow"):
        with pytest.raises(UserError, match=r"distill.stages.k8-fold.previous=data/students/k8: a student with heads"):
            get_objective(name).prepare(network, params, "k8-fold")
    folding.prepare(network, params, "k8-fold")
    assert network.heads is None


def test_heads_need_one_last_layer() -> None:
    toy = ToyNetwork(torch.nn.Linear(1, 1))
    with pytest.raises(UserError, match=r"distill.objective='parallel': ToyNetwork of model.path=data/tiny-wan has no"):
        get_objective("parallel").prepare(toy, chain(), "k8")
