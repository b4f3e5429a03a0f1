from pathlib import Path
from typing import Any

import pytest
import yaml

from gpd.artifacts import UserError
from gpd.models.use import PROFILES, profile_text
from gpd.params import load_params, num_student_steps, override
from tests.curricula import doubling_profile, student_subject, undistilled

ROOT = Path(__file__).parents[1]


def write(folder: Path, change: dict[str, Any]) -> Path:
    """The miniature's params, doubling, with some dotted keys changed; None removes one."""
    raw = doubling_profile()
    for key, value in change.items():
        *parents, last = key.split(".")
        section = raw
        for parent in parents:
            section = section[parent]
        if value is None:
            del section[last]
        else:
            section[last] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return path


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_valid(profile: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(profile_text(profile))
    params = load_params(path)
    assert params.model.hub is None or len(params.model.hub.revision) == 40  # a revision is a commit, not a branch


def test_the_repository_uses_the_miniature() -> None:
    assert (ROOT / "params.yaml").read_text() == profile_text("tiny-wan")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_value_of_a_profile_has_its_line(profile: str) -> None:
    """A profile is a page to read: no line is longer than a screen, no section without a word on it."""
    lines = profile_text(profile).splitlines()
    assert max(map(len, lines)) <= 140
    assert sum("#" in line for line in lines) >= 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.num_frame": 17}, r"model.num_frame: unknown key \(value 17\)"),
        ({"model.shift": None}, "model.shift: missing"),
        ({"model.num_frames": "17"}, "model.num_frames='17'"),
        ({"model.shift": -1.0}, "model.shift=-1.0"),
        ({"model.dtype": "float8"}, "model.dtype='float8'"),
        ({"distill.teacher_walk.stride": 0}, "distill.teacher_walk.stride=0"),
        ({"distill.teacher_walk.solver": "heun"}, "distill.teacher_walk.solver='heun'"),
        (
            {"distill.objective": "dmd"},
            "distill.objective='dmd': is none of consistency, flow_map, fold, gpd, parallel, ",
        ),
        ({"distill.horizons": [0]}, "distill.horizons.0=0"),
        ({"distill.horizons": [1]}, r"distill.horizons=\[1\]: distill.stages must hold one stage, not 4"),
        ({"model.shift": float("nan")}, "model.shift=nan"),
        ({"encode.max_broken_share": 1.5}, "encode.max_broken_share=1.5"),
        ({"distill.states.clips": 0.5}, r"distill.states: stream \+ clips \+ rollouts is 1.25, must be 1"),
        ({"distill.final_steps": 5}, "distill.final_steps=5 does not divide model.grid_steps=48"),
        ({"distill.final_steps": 3}, "distill.final_steps=3 needs a stage of horizon 16, .*stages has k1, k2, k4, k8"),
        ({"sample.num_kept_points": 5}, "sample.num_kept_points=5 does not divide model.grid_steps=48"),
        ({"distill.stages.k4.horizon": 3}, "distill.stages.k4: a stage of horizon 3 is called k3"),
        ({"distill.stages.k2.previous": "data/students/k4"}, "k2.previous='data/students/k4' must be"),
        ({"distill.stages.k8.tail": 9}, "distill.stages.k8.tail=9 is longer than horizon=8"),
        ({"distill.frequency.weight": 1.0}, r"weight and stages go together \(weight=1, stages=\[\]\)"),
        ({"distill.frequency.stages": ["k3"], "distill.frequency.weight": 1.0}, "names 'k3', which is not in"),
        (
            {"distill.states": {"stream": 0.5, "clips": 0.0, "rollouts": 0.5}},
            "distill.states.rollouts is above 0, but encode.rollouts.num is 0",
        ),
        ({"sample.subjects.reference": None}, "sample.subjects has no 'reference'; it has teacher-12, "),
        ({"sample.subjects.reference.steps": 24}, "sample.subjects.reference.steps=24 must be 48"),
        ({"sample.subjects.reference.checkpoint": "x"}, "subjects.reference.checkpoint='x' must be 'data/tiny-wan'"),
        ({"sample.subjects.teacher-6.steps": 7}, "subjects.teacher-6.steps=7 does not divide model.grid_steps=48"),
        ({"sample.subjects.teacher-6.solver": "heun"}, "sample.subjects.teacher-6.solver='heun'"),
        ({"sample.subjects.teacher-6.checkpoint": "x"}, "subjects.teacher-6.checkpoint='x' must be 'data/tiny-wan'"),
        ({"sample.subjects.k3": student_subject(3)}, "k3.checkpoint='data/students/k3': a student's .* k1, k2, k4, k8"),
        ({"sample.subjects.k8.checkpoint": "x"}, "subjects.k8.checkpoint='x' must be 'data/students/k8'"),
        ({"sample.subjects.k8.steps": 12}, "sample.subjects.k8.steps=12 must be 6"),
        ({"sample.subjects.k8.guidance_scale": 3.0}, "sample.subjects.k8.guidance_scale=3.0 must be 1.0"),
        ({"sample.subjects.a/b": student_subject(3)}, "sample.subjects.a/b"),
        ({"sample.subjects./tmp/x": student_subject(3)}, "sample.subjects./tmp/x"),
        ({"sample.subjects.-x": student_subject(3)}, "sample.subjects.-x"),
        ({"sample.subjects.x\n": student_subject(3)}, r"sample.subjects.x\\n"),
        ({"sample.num_prompts": 65}, "sample.num_prompts=65 is above prepare.num_evaluation_prompts=64"),
    ],
)
def test_mistakes_are_named_by_file_key_and_value(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path, change)
    with pytest.raises(UserError, match=message) as caught:
        load_params(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizons": [3]}, r"distill.horizons=\[3\]: 3 is no shorter divisor of the stage's horizon=8"),
        ({"horizons": [2, 8]}, r"distill.horizons=\[2, 8\]: 8 is no shorter divisor of the stage's horizon=8"),
        ({"horizons": [4, 2]}, r"distill.horizons=\[4, 2\] does not rise"),
        ({"horizons": [2, 2]}, r"distill.horizons=\[2, 2\] does not rise"),
        (
            {"horizons": [2], "states": {"stream": 1.0, "clips": 0.0, "rollouts": 0.0}},
            r"distill.horizons=\[2\] are learnt on noised clips: distill.states.clips must be above 0",
        ),
        (
            {"horizons": [2], "lora_rank": 4},
            r"distill.horizons=\[2\]: distill.lora_rank=4 freezes what tells the steps; it must be 0",
        ),
    ],
)
def test_horizons_that_a_single_stage_cannot_learn_are_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    raw = yaml.safe_load(profile_text("tiny-wan"))
    raw["distill"] |= {"horizons": [1, 2, 4], "final_steps": 6}
    raw["distill"]["stages"] = {"k8": raw["distill"]["stages"]["k8"] | {"previous": "data/tiny-wan"}}
    raw["sample"]["subjects"] = undistilled(raw)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    load_params(path)
    raw["distill"] |= change
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError, match=message):
        load_params(path)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, {"model.height": -16, "encode.seed": -1, "reprot": {}})
    with pytest.raises(UserError) as caught:
        load_params(path)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {", "not valid YAML"),
        ("- 1\n- 2\n", "expected sections, found list"),
        ("", "expected sections, found NoneType"),
        ("model: 1\nmodel: 2\n", "key 'model' stands twice"),
    ],
)
def test_files_that_are_no_params(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_params(path)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gpd use tiny-wan"):
        load_params(tmp_path / "params.yaml")


def chain(horizons: list[int], final_steps: int, tail: int = 100) -> dict[str, Any]:
    """Stages of these horizons, sampled, with tails of at most `tail`; the first has nothing to jump with."""
    stages, subjects, previous = {}, undistilled(doubling_profile()), "data/tiny-wan"
    for number, horizon in enumerate(horizons):
        stage = {"horizon": horizon, "tail": min(tail, horizon) if number else horizon, "previous": previous}
        stages[f"k{horizon}"] = {**stage, "iterations": 10, "batch": 4, "learning_rate": 1e-4}
        previous = f"data/students/k{horizon}"
        subjects[f"k{horizon}"] = student_subject(horizon)
    return {"distill.stages": stages, "sample.subjects": subjects, "distill.final_steps": final_steps}


@pytest.mark.parametrize(
    ("horizons", "final_steps", "tail"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], 6, 1),
        ([1, 3, 8], 6, 1),
        ([8], 6, 8),
        ([48], 1, 48),
        ([4, 8, 12, 16, 24, 48], 12, 48),  # each begins as the one before and has its targets from the teacher alone
        ([4, 8, 16, 48], 12, 4),  # each jumps along the steps of the one before
        ([4, 8, 12, 16, 24], 2, 4),
    ],
    ids=str,
)
def test_any_rising_list_of_horizons_is_a_curriculum(
    tmp_path: Path, horizons: list[int], final_steps: int, tail: int
) -> None:
    params = load_params(write(tmp_path, chain(horizons, final_steps, tail)))
    assert [params.sample.subjects[name].steps for name in params.distill.stages] == [-(-48 // k) for k in horizons]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            chain([8, 10], 6),
            "distill.stages.k10.horizon=10 does not divide model.grid_steps=48: .* horizon 8, .*final_steps=6",
        ),
        (
            chain([4, 8, 12], 6, 4),
            "distill.stages.k12.tail=4 jumps with the student of horizon 8 from where that was not trained",
        ),
    ],
)
def test_a_chain_that_cannot_be_walked_is_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_params(write(tmp_path, change))
    assert len(str(caught.value).splitlines()) == 1


def test_a_horizon_that_does_not_divide_the_grid_takes_one_more_shorter_step() -> None:
    assert [num_student_steps(48, horizon) for horizon in (1, 5, 7, 8, 9)] == [48, 10, 7, 6, 6]


def test_horizons_must_rise(tmp_path: Path) -> None:
    raw = doubling_profile()["distill"]["stages"]
    swapped = {
        "k2": raw["k2"] | {"previous": "data/tiny-wan", "tail": 2},
        "k1": raw["k1"] | {"previous": "data/students/k2"},
    }
    path = write(tmp_path, {"distill.stages": swapped})
    with pytest.raises(UserError, match=r"k1.horizon=1 does not rise above 2"):
        load_params(path)


def test_overrides_replace_values_at_dotted_keys() -> None:
    raw = doubling_profile()
    changed = override(raw, {"distill.stages.k8.tail": 2, "model.shift": 5.0, "distill.guidance.end": 1.5}, "x")
    assert (changed["distill"]["stages"]["k8"]["tail"], changed["model"]["shift"]) == (2, 5.0)
    assert changed["distill"]["guidance"] == doubling_profile()["distill"]["guidance"] | {"end": 1.5}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("report.name", r"here: report\.name=1: params\.yaml has no 'name' there; it has title, num_clips"),
        ("reports.title", r"here: reports\.title=1: params\.yaml has no 'reports' there; it has model, prepare"),
        ("report.title.size", r"here: report\.title\.size=1: params\.yaml has no 'size' there; it is a value"),
    ],
)
def test_an_override_that_params_do_not_have_is_named(key: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        override(doubling_profile(), {key: 1}, "here")
