"""What only the code has changed of keeps its results; what has other params or data does not."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpd.ablation.accept import Accepted, Today, accept
from gpd.ablation.grid import AblationGrid
from gpd.ablation.plan import base_params, make_runs
from gpd.ablation.results import RunResult, load_results, make_rows
from gpd.ablation.trees import base_tree, code_at_hand, done_file, result_file, run_tree
from gpd.ablation.variants import all_variants
from gpd.artifacts import UserError
from gpd.documents import write_document
from gpd.params import load_params
from tests.ablation.rows import row
from tests.ablation.test_plan import GRID, ROOT
from tests.ablation.test_results import result
from tests.workspace import working_in

HEADS = {"distill.objective": "parallel"}
MIXED = HEADS | {"distill.teacher_share": {"start": 1.0, "end": 0.0}}
STAGES = [{"horizon": 8, "tail": 8, "share": 1.0}]
VARIANTS: dict[str, Any] = {
    "one-shot": GRID["variants"]["one-shot"],
    "heads": {"label": "heads", "group": "rivals", "set": HEADS, "stages": STAGES},
    "mixed": {"label": "mixed", "group": "rivals", "set": MIXED, "stages": STAGES},
}


def git(*words: str) -> str:
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *author, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """A git repository with dvc.yaml, params.yaml, the code, and stand-ins for data and the base model."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("data/sources/tiny-wan/prompts.txt", "data/tiny-wan/weights"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    shutil.copytree(ROOT / "gpd", tmp_path / "gpd", ignore=shutil.ignore_patterns("__pycache__"))
    with working_in(tmp_path):
        git("init", "-q")
        commit()
        yield tmp_path


def commit() -> str:
    git("add", "-A", "dvc.yaml", "params.yaml", "gpd")
    git("commit", "-qm", "x")
    return git("rev-parse", "HEAD")[:7]


def today(**changes: Any) -> Today:
    """As the working directory declares it."""
    grid = AblationGrid.model_validate({**GRID, "seeds": [0, 1], "variants": VARIANTS, **changes})
    params, code = load_params(), code_at_hand()
    base = base_tree(base_params(grid, params), code)
    runs = [(run, result_file(run, run_tree(run, base, code), base)) for run in make_runs(grid, params)]
    return Today(base_params(grid, params), base, runs)


def finish(found: Today, made_by: str, *variants: str) -> None:
    """Results of all runs of these variants, and the base."""
    for run, file in found.results:
        if run.variant in variants:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_document(file, result(run.variant, run.seed, 0.2).model_copy(update={"commit": made_by, "key": ""}))
    for name in list(found.base.stages)[:2]:
        done = found.base.folder / done_file(found.base, name)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()


def there(found: Today) -> list[str]:
    """Variants with a result under today's keys, once for each seed."""
    return [run.variant for run, file in found.results if file.exists()]


def edit(name: str = "gpd/distillation/planted.py") -> None:
    Path(name).write_text("")


def test_results_follow_an_edit_of_the_code_and_then_another(repository: Path) -> None:
    first = git("rev-parse", "HEAD")[:7]
    finish(today(), first, "one-shot")
    for name in ("gpd/distillation/one.py", "gpd/core/two.py"):
        edit(name)
        commit()
        now = today()
        assert (there(now), now.commits([])) == ([], [first])
        accepted, _ = accept(first, now, [])
        assert (accepted.results, accepted.left, accepted.new) == (2, [], {})
        assert there(now) == ["one-shot", "one-shot"]
        assert now.commits([]) == []
        assert all((now.base.folder / done_file(now.base, stage)).exists() for stage in list(now.base.stages)[:2])


def test_a_row_takes_the_keys_of_today_and_remembers_those_that_it_was_made_under(repository: Path) -> None:
    first, variants = git("rev-parse", "HEAD")[:7], all_variants(AblationGrid.model_validate(GRID))
    before = today()
    finish(before, first, "one-shot")
    of_one = [(run.variant, run.budget, file) for run, file in before.results if run.variant == "one-shot"]
    (made,) = make_rows(variants, load_results(of_one))
    shutil.rmtree(".work")  # on a machine where no run has been
    edit()
    now = today()
    accepted, rows = accept(first, now, [made, row("heads", 0.1, commit=first)])
    assert (accepted.rows, accepted.left) == (1, ["heads"])  # its runs' names are no keys
    keys = [file.stem for run, file in now.results if run.variant == "one-shot"]
    assert (rows[0].runs, rows[0].made, rows[0].commit) == (keys, made.runs, first)
    commit()
    edit("gpd/core/another.py")
    accepted, rows = accept(first, today(), rows)
    assert (accepted.rows, rows[0].made) == (1, made.runs)


@pytest.mark.parametrize("name", ["README.md", "gpd/core/three.py"])
def test_edits_that_were_not_committed_count_if_the_result_is_of_them(repository: Path, name: str) -> None:
    first = git("rev-parse", "HEAD")[:7]
    edit(name)
    finish(today(), f"{first}-dirty", "one-shot")
    edit()
    now = today()
    assert now.commits([]) == [first]
    accepted, _ = accept(first, now, [])
    assert there(now) == (["one-shot", "one-shot"] if name == "README.md" else [])
    assert {found.commit for found in load_results([("", 0, file) for _, file in now.results])} <= {first}
    assert accepted.left == ([] if name == "README.md" else ["one-shot", "one-shot"])


def test_a_baseline_more_is_no_change_of_the_runs(repository: Path) -> None:
    first, text = git("rev-parse", "HEAD")[:7], Path("params.yaml").read_text()
    finish(today(), first, "one-shot")
    line = next(line for line in text.splitlines(keepends=True) if "    teacher-6-unipc:" in line)
    Path("params.yaml").write_text(
        text.replace(line, line + line.replace("6-unipc", "3-unipc").replace("steps: 6", "steps: 3"))
    )
    now = today()
    assert there(now) == []
    accepted, _ = accept(first, now, [])
    assert (accepted.results, there(now)) == (2, ["one-shot", "one-shot"])


def change_params() -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("ema_decay: 0.99 ", "ema_decay: 0.98 "))


def change_data() -> None:
    Path("data/sources/tiny-wan/prompts.txt").write_text("others")


@pytest.mark.parametrize("change", [change_params, change_data])
def test_other_params_or_data_are_refused(repository: Path, change: Callable[[], None]) -> None:
    first = git("rev-parse", "HEAD")[:7]
    finish(today(), first, "one-shot")
    edit()
    change()
    now = today()
    accepted, _ = accept(first, now, [])
    assert (accepted.results, accepted.left, there(now)) == (0, ["one-shot", "one-shot"], [])
    assert "params or data differ" in str(accepted)


def test_a_setting_that_the_code_did_not_have_is_named_and_another_value_of_it_refused(repository: Path) -> None:
    """A variant that sets it would else be taken for the plain one, which the older code could not tell from it."""
    lines = Path("params.yaml").read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if "teacher_share:" in line)
    Path("params.yaml").write_text("".join(lines[:place] + lines[place + 3 :]))
    pipeline = Path("dvc.yaml").read_text()
    Path("dvc.yaml").write_text(pipeline.replace("distill.teacher_share, ", ""))
    first = commit()
    Path("params.yaml").write_text("".join(lines))
    finish(today(), first, "heads", "mixed")  # of the same key, as that pipeline does not name the setting
    Path("dvc.yaml").write_text(pipeline)
    edit()
    now = today()
    accepted, _ = accept(first, now, [])
    assert accepted.new == {"distill.teacher_share.start": 0.0, "distill.teacher_share.end": 0.0}
    assert there(now) == ["heads", "heads"]


def test_code_that_git_does_not_have_is_named(repository: Path) -> None:
    with pytest.raises(UserError, match=r"^its code is not here \(fatal: not a valid object name: abc1234\)$"):
        accept("abc1234", today(), [])


def test_code_of_another_pipeline_is_named(repository: Path) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("\nsample:\n", "\nsamples:\n"))
    first = commit()
    Path("params.yaml").write_text(text)
    with pytest.raises(UserError, match=r"^dvc\.yaml: .*sample\.subjects.*: params\.yaml has no such key$"):
        accept(first, today(), [])


def test_what_became_of_it_is_one_line() -> None:
    line = str(Accepted("abc1234", {"distill.x": 1}, results=3, rows=1, left=["two", "two"]))
    assert "\n" not in line
    assert line.startswith("abc1234: 3 results and 1 rows are those of the code at hand now; settings")
    assert line.endswith(": two")
    assert RunResult.model_fields["made"].default == ""
