import json
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.models.use import PROFILES
from gpd.planning import matrix, tables
from gpd.planning import plan as planning

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_has_a_plan_and_fits_a_machine_of_eight(profile: str, capsys: pytest.CaptureFixture[str]):
    made = planning.make_plan(*planning.load(profile), "h100:8")
    assert made.fits
    assert not made.remedies
    if profile.startswith("wan"):
        assert matrix.row(made) in (ROOT / "docs/wan.md").read_text()  # python -m gpd.planning.matrix
    assert made.forwards == pytest.approx(sum(stage.forwards for stage in made.stages), rel=1e-3)
    assert made.memory.peak <= sum(made.memory.parts.values()) * 1.001
    assert planning.Plan.model_validate_json(made.model_dump_json()) == made
    tables.show(made)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


@pytest.mark.parametrize(("profile", "gpu"), [("wan2.1-1.3b-lora", "rtx4090:1"), ("wan2.1-14b-lora", "a100-80:1")])
def test_factors_need_one_device(profile: str, gpu: str):
    made = planning.make_plan(*planning.load(profile), gpu)
    assert made.fits
    assert made.memory.micro_batch * made.memory.accumulated == 16
    assert matrix.row(made) in (ROOT / "docs/wan.md").read_text()


def test_where_activations_alone_are_too_large_it_says_so():
    """Sharing out the base of factors (FSDP2) would not help there: it is refused for the same reason."""
    made = planning.make_plan(*planning.load("wan2.1-14b-lora"), "rtx4090:1")
    assert matrix.row(made) in (ROOT / "docs/wan.md").read_text()
    assert "nor up to 32 devices: activations of one sample alone are 26." in planning.refusal(made)


def test_what_does_not_fit_is_refused_in_one_line_with_what_would_help():
    made = planning.make_plan(*planning.load("wan2.1-1.3b"), "rtx4090:1")
    assert not made.fits
    line = planning.refusal(made)
    assert "\n" not in line
    assert "wan2.1-1.3b does not fit rtx4090:1: distill needs" in line
    assert "distill.lora_rank=" in line
    assert "--gpu rtx4090:" in line


def test_without_a_profile_it_is_params_yaml():
    assert planning.load(None)[1] == planning.load("tiny-wan")[1]


def test_an_unknown_profile_is_refused_with_those_that_there_are():
    with pytest.raises(UserError, match=r"plan: profile='wan3' is not one of .*wan2\.1-14b-lora"):
        planning.load("wan3")


def test_a_model_that_is_nowhere_has_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name, params = planning.load("tiny-wan")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"model\.path='data/tiny-wan': no configs there"):
        planning.make_plan(name, params, "h100")


def test_the_documents_form_is_that_of_the_manual():
    """docs/wan.md shows this; a change of it is one of what other programs read."""
    keys = json.loads(planning.make_plan(*planning.load("tiny-wan"), "h100").model_dump_json()).keys()
    assert list(keys) == [
        "profile",
        "model",
        "parameters",
        "tflop_per_forward",
        "device",
        "memory",
        "stages",
        "forwards",
        "device_days",
        "cpu_hours",
        "disk",
        "disk_with_cache",
        "fits",
        "remedies",
        "notes",
    ]
