"""`--where`: the same answers on both databases, nothing spliced, mistakes named."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from gpd.artifacts import UserError
from gpd.registry import best, list_checkpoints, open_registry, promote, sync, tag
from gpd.registry.where import _as_float, read_where
from tests.registry.conftest import STAGES, export, make_evaluation, make_folder, subject_of


def names(session: Session, *where: str, workspace: Path = Path()) -> list[str | None]:
    return [row.name for row in list_checkpoints(session=session, where=where, workspace=workspace)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("steps <= 6 and trajectory_error < .2 or alias = 'champion'", ["tiny-wan", "k2", "k8"]),
        ("steps <= 6 AND (trajectory_error < .2 OR alias = 'champion')", ["tiny-wan", "k8"]),
        ("not role = 'student' or horizon = 4", ["tiny-wan", "k4"]),
        ("NOT alias = 'champion' and role = 'student'", ["k1", "k4", "k8"]),
        ("alias is null and role = 'student'", ["k1", "k4", "k8"]),
        ("alias in ('champion', 'nobody')", ["k2"]),
        ("name in ['k4', 'k8'] and name != 'k8'", ["k4"]),
        ("role = 'student' and name not in ('k1', 'k2')", ["k4", "k8"]),
        ("2 <= horizon < 8", ["k2", "k4"]),
        ("6 >= sampling_steps", ["k8"]),
        ("psnr > 20.6 and psnr <= 22.4", ["k2", "k4"]),
        ("solver = 'unipc'", ["tiny-wan"]),
        ("solver = 'unipc' and trajectory_error < .1", []),  # its other evaluation has the small error
        ("horizon = 4.5", []),  # an integer's type would make 4 of it
        ("iterations < 1e30 and samples_seen > -1" + "0" * 30, list(STAGES)),
        ("guidance.start = 6 and learning_rate >= 0.0004", ["k4", "k8"]),
        ("guidance.axis = 'stage' and params['horizon'] = 8", ["k8"]),  # a column comes before a param
        ("trajectory_error is null", []),
        ("guidance.start = null", ["tiny-wan"]),
        ('name = "it\'s; DROP TABLE artifact; --"', []),
        ("stage=k8", ["k8"]),
        ("learning_rate=8e-4", ["k8"]),
    ],
)
def test_answers(session: Session, workspace: Path, where: str, expected: list[str]) -> None:
    promote(session=session, key="k2", alias="champion", because="to find it")
    assert names(session, where) == expected


def test_a_number_that_no_float_holds_is_beyond_all() -> None:
    assert [_as_float(value) for value in (10**400, -(10**400), 3)] == [float("inf"), float("-inf"), 3.0]


def test_tags(session: Session, workspace: Path) -> None:
    for key, word in (("k2", "keep"), ("k4", "keep"), ("k4", "large"), ("k8", "keep")):
        tag(session=session, key=key, tag=word)
    tag(session=session, key="k8", tag="keep", remove=True)
    assert names(session, "tag = 'keep' and not tag = 'large'") == ["k2"]
    assert names(session, "tag in ('keep', 'large') and role = 'student'") == ["k2", "k4"]
    assert names(session, "tag is null and role = 'student'") == ["k1", "k8"]


def test_several_must_hold_together(session: Session, workspace: Path) -> None:
    assert names(session, "horizon > 1", "horizon < 8") == ["k2", "k4"]
    assert list_checkpoints(session=session, where=("horizon > 1",), steps=6)[0].name == "k8"
    assert best(session=session, steps=6, where=["horizon <= 8 and guidance.start = 6"]).winners[0].name == "k8"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("steps <= ", "not understood"),
        ("steps <= 6; drop table artifact", "not understood"),
        ("steps", "compare a column, metric or param with a value"),
        ("steps <= horizon", "a value is a number or a text in quotes"),
        ("steps + 1 = 6", "compare a column, metric or param with a value"),
        ("__import__('os').system('true') = 0", "compare a column, metric or param with a value"),
        ("steps = __import__('os')", "a value is a number or a text in quotes"),
        ("name = f'{1}'", "a value is a number or a text in quotes"),
        ("name = b'k8'", "a value is a number or a text in quotes"),
        ("name = 'it''s'", "two texts beside each other"),
        ("name = 8", "name is text; put 8 in quotes"),
        ("name < 'k8'", "has no order here; only =, != and in"),
        ("steps = '6'", "steps is a number, not '6'"),
        ("steps = True", "steps is a number, not True"),
        ("steps = (6, 7)", "a list goes with in"),
        ("trajektory_error < 1", "no such name; did you mean trajectory_error?"),
        (
            "nothing = 1",
            "no such name; columns: alias, tag, content, .*; metrics: motion_ratio, psnr, .*; params: guidance.axis, ",
        ),
        ("(" * 300 + "steps = 6" + ")" * 300, "not understood"),
        ("steps = 6 or " * 400 + "steps = 6", "characters, at most 4000"),
        ("name = '", "not understood"),
        ("", "not understood"),
    ],
)
def test_mistakes(session: Session, workspace: Path, where: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        names(session, where)
    assert "\n" not in str(caught.value)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["' OR 1=1 --", '"', "%", "\\", ":x", "'; DROP TABLE param; --", "k8"]
)


def test_values_are_never_taken_for_sql(synced: str, workspace: Path) -> None:
    @settings(max_examples=40, deadline=None)
    @given(TEXTS)
    def law(text: str) -> None:
        assert names(session, f"name = {text!r}") == (["k8"] if text == "k8" else [])
        assert names(session, f"guidance.axis = {text!r}") == []

    before = export(synced)
    with open_registry(synced) as session:
        law()
    assert export(synced) == before


def test_metrics_are_of_one_protocol(workspace: Path, synced: str) -> None:
    subject = subject_of(workspace / "data/students/k2", error=0.001, steps=24)
    make_evaluation(workspace, "other", {"k2": subject}, shift=3)
    sync(url=synced)
    with open_registry(synced) as session:
        found = list_checkpoints(session=session, where=["trajectory_error < .1"])
        assert [row.name for row in found] == ["tiny-wan", "k8"]
        assert found.note
        assert "shift=3" in found.note
        other = found.note.split(": ")[-1].split(" (")[0]
        again = list_checkpoints(session=session, where=["trajectory_error < .1"], protocol=other)
        assert ([row.name for row in again], again.note) == (["k2"], None)


def test_a_param_that_is_a_number_here_and_text_there(workspace: Path, synced: str) -> None:
    for name, value in {"a": 7, "b": "seven", "c": [7], "d": True, "e": 1e-05}.items():
        make_folder(workspace / "data/other" / name, kind="base", facts={"name": name}, params={"x": value}, text=name)
    sync(url=synced)
    with open_registry(synced) as session:
        assert names(session, "x > 6") == ["a"]
        assert names(session, "x < 1") == ["e"]
        assert names(session, "x = 'seven' or x = true") == ["b", "d"]
        assert set(names(session, "x != 7")) == {"b", "c", "d", "e"}


def test_a_condition_has_at_most_4000_characters(session: Session, workspace: Path) -> None:
    assert names(session, "steps = 6".ljust(4000)) == ["tiny-wan", "k8"]
    with pytest.raises(UserError, match="4001 characters, at most 4000"):
        names(session, "steps = 6".ljust(4001))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("not " * 985 + "steps = 6", "nested too deep"),
        ("other['horizon'] = 8", "compare a column, metric or param with a value"),
        ("params[horizon] = 8", "compare a column, metric or param with a value"),
        ("6 in steps", "compare a column, metric or param with a value"),
        ("- steps = 6", "compare a column, metric or param with a value"),
        ("name in ['k8', b'k8']", "a value is a number or a text in quotes"),
        ("name in [('k8',)]", "a value is a number or a text in quotes"),
        ("horizon in ['8']", "horizon is a number, not '8'"),
        ("guidance.axis < 'stage'", "has no order here"),
        ("guidance.start < true", "has no order here"),
        ("alias > 'a'", "has no order here"),
        ("name = 'k8", r"not understood \([A-Za-z]"),
        ("steps = = 6", r"not understood \([A-Za-z]"),
        ("name =(", r"not understood \([A-Za-z]"),
        (
            "nothing = 1",
            "metrics: motion_ratio, psnr, trajectory_error; params: guidance.axis, .*previous|learning_rate",
        ),
    ],
)
def test_more_mistakes(synced_sqlite: Path, where: str, message: str) -> None:
    with open_registry(str(synced_sqlite)) as session, pytest.raises(UserError, match=message) as caught:
        names(session, where)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("steps in 6", ["tiny-wan", "k8"]),
        ("steps in (6, 12)", ["tiny-wan", "k4", "k8"]),
        ("name in []", []),
        ("name is not null and role = 'student'", list(STAGES)),
        ("horizon is 8", ["k8"]),
        ("horizon is not 8 and role = 'student'", ["k1", "k2", "k4"]),
        ("8 = horizon", ["k8"]),
        ("8 > horizon and horizon >= 4", ["k4"]),
        ("4 < horizon", ["k8"]),
        ("8 != horizon and role = 'student'", ["k1", "k2", "k4"]),
        ("1 < horizon <= 4 < sampling_steps", ["k2", "k4"]),
        ("horizon > 1 and horizon < 8 or name = 'k1'", ["k1", "k2", "k4"]),
        ("learning_rate < .0003", ["k1", "k2"]),
        ("learning_rate <= .0004 and learning_rate > .0002", ["k4"]),
        ("guidance.start = true", []),
        ("psnr is not null and horizon = 2", ["k2"]),
        ("horizon=2", ["k2"]),
        ("name='k2'", ["k2"]),
        ("guidance.axis=stage", list(STAGES)),
    ],
)
def test_more_answers(synced_sqlite: Path, where: str, expected: list[str]) -> None:
    with open_registry(str(synced_sqlite)) as session:
        assert names(session, where) == expected


def test_a_mapping_is_equalities(synced_sqlite: Path) -> None:
    with open_registry(str(synced_sqlite)) as session:
        assert read_where({"horizon": "8", "name": "k8"}, session).metrics == []
        assert len(read_where({"horizon": "8", "name": "k8"}, session).conditions) == 2
        assert read_where(["psnr > 1 and name = 'k8'", "psnr < 9"], session).metrics == ["psnr", "psnr"]
        with pytest.raises(
            UserError, match=r"no such name; columns: .*; metrics: motion_ratio, psnr, trajectory_error;"
        ):
            read_where({"nothing": "8"}, session)


def test_an_empty_registry_knows_columns_alone(made_sqlite: Path) -> None:
    with open_registry(str(made_sqlite)) as session, pytest.raises(UserError, match=r"metrics: none; params: none$"):
        names(session, "nothing = 1")
