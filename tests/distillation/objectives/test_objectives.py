import subprocess
import sys

import pytest

from gpd.artifacts import UserError
from gpd.distillation.objectives import Objective, check_objective, get_objective
from gpd.params import OBJECTIVES
from tests.distillation.test_trainer import settings

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


def test_the_first_stage_cannot_jump() -> None:
    stages = {name: stage.model_dump() for name, stage in settings().stages.items()}
    stages["k1"]["tail"] = 0
    with pytest.raises(UserError, match=r"distill.stages.k1.tail=0 must be 1: the first stage has no previous student"):
        check_objective(settings(stages=stages))


def test_the_room_of_objectives_opens_without_torch() -> None:
    code = "import sys, gpd.distillation.objectives; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
