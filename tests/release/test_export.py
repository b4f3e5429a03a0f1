"""`gpd export`: what is taken, what is refused."""

from pathlib import Path

import pytest

from gpd import documents
from gpd.artifacts import UserError
from gpd.distillation import distill
from gpd.documents import ReleaseFacts
from gpd.params import Params, Probe, States
from gpd.release import hub
from gpd.release.export import run
from gpd.release.formats import FORMATS
from gpd.release.student import Student, open_student
from tests.release.conftest import RANK
from tests.workspace import working_in


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path):  # type: ignore[no-untyped-def]
    with working_in(tmp_path):
        yield


def test_all_leaves_out_what_a_student_does_not_have(
    full: Student, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    run(params, str(full.folder), to=Path("out"))
    exports = documents.load_manifest(Path("out"), ReleaseFacts).facts.exports
    assert [one.format for one in exports] == ["diffusers", "native"]
    assert "export: lora: left out: k4 trained all weights" in capsys.readouterr().out


def test_a_format_by_name_is_alone_in_its_folder(low: Student, params: Params) -> None:
    run(params, str(low.folder), to=Path("out"), format="lora-native", rank=RANK)
    names = sorted(path.name for path in Path("out").iterdir())
    assert names == ["README.md", "manifest.json", "small_wan_gpd_2step_lora_rank2_bf16.safetensors"]


def test_a_refused_format_leaves_nothing(full: Student, params: Params) -> None:
    with pytest.raises(UserError, match="trained all weights"):
        run(params, str(full.folder), to=Path("out"), format="lora")
    assert list(Path().iterdir()) == []


def test_a_folder_is_replaced_only_if_forced_and_only_a_release(low: Student, params: Params) -> None:
    def export(to: str, force: bool = False) -> None:
        run(params, str(low.folder), to=Path(to), format="lora", rank=RANK, force=force)

    Path("empty").mkdir()
    export("empty")
    with pytest.raises(UserError, match="--to=empty: is there already; --force replaces"):
        export("empty")
    export("empty", force=True)
    Path("empty/notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"--to=empty: notes\.txt is not of the release there"):
        export("empty", force=True)
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="--to=mine: holds something that is no release"):
        export("mine", force=True)
    with pytest.raises(UserError, match="holds something that is no release"):
        export("mine/thesis.txt", force=True)
    assert Path("mine/thesis.txt").read_text() == "years of work"


def test_pushing_is_refused_before_anything_is_written(low: Student, params: Params) -> None:
    with pytest.raises(UserError, match="--push=me: expected OWNER/NAME"):
        run(params, str(low.folder), to=Path("out"), push="me")
    with pytest.raises(UserError, match=r"--push=me/it: the hub's client is offline \(HF_HUB_OFFLINE\)"):
        run(params, str(low.folder), to=Path("out"), push="me/it")
    assert not Path("out").exists()


def test_without_its_base_a_student_has_no_lora(low: Student, params: Params) -> None:
    lonely = params.model_copy(update={"model": params.model.model_copy(update={"path": "nowhere"})})
    assert open_student(lonely, str(low.folder)).base is None
    run(lonely, str(low.folder), to=Path("out"), rank=RANK)
    exports = documents.load_manifest(Path("out"), ReleaseFacts).facts.exports
    assert [(one.format, one.lost) for one in exports] == [("diffusers", None), ("native", None)]
    with pytest.raises(UserError, match=r"--format lora: the base model [0-9a-f]{12} is not here"):
        run(lonely, str(low.folder), to=Path("other"), format="lora", rank=RANK)


def test_a_stage_by_its_name(workspace: Params) -> None:
    run(workspace, "k4", to=Path("out"), format="native")
    assert Path("out/small_wan_gpd_2step_fp32.safetensors").is_file()


def test_a_student_as_a_stage_of_factors_publishes_it(workspace: Params) -> None:
    quickly = {"previous": workspace.model.path, "iterations": 2, "batch": 2, "learning_rate": 0.03}
    stage = workspace.distill.stages["k1"].model_copy(update=quickly)
    changes = {"lora_rank": RANK, "pool_slots": 2, "stages": {"k1": stage}, "probe": Probe(num_states=2)}
    changes |= {"states": States(stream=1.0, clips=0.0, rollouts=0.0)}
    params = workspace.model_copy(update={"distill": workspace.distill.model_copy(update=changes)})
    distill.run(params, "k1")
    run(params, "k1", to=Path("out"))
    exports = documents.load_manifest(Path("out"), ReleaseFacts).facts.exports
    assert [one.format for one in exports] == list(FORMATS)
    assert all(one.lost is not None and one.lost < 5e-3 for one in exports)
    stem = "small_wan_gpd_8step"
    assert Path(f"out/{stem}_lora_rank2_bf16.safetensors").is_file()


def test_a_failed_upload_is_one_line_and_keeps_the_release(tmp_path: Path) -> None:
    """Offline, as in all tests, the client refuses."""
    with pytest.raises(UserError, match=r"^--push=me/it: .*; the release is complete in \S+$"):
        hub.upload(tmp_path, "me/it")


def test_a_student_of_nothing_is_one_line(params: Params) -> None:
    with pytest.raises(UserError, match="export champion: no student at champion, and "):
        run(params, "champion", to=Path("out"))


def test_steps_that_do_not_divide_the_grid_are_refused(low: Student, params: Params) -> None:
    facts = low.manifest.facts.model_copy(update={"horizon": 3, "sampling_steps": None})
    student = Student(low.folder, low.manifest.model_copy(update={"facts": facts}), low.base)
    with pytest.raises(UserError, match="steps of 3 do not divide the grid of 8"):
        student.grid  # noqa: B018
