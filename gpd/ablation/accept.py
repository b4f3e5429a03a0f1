"""`gpd ablate --accept`, to an ablation what `dvc commit` is to a pipeline: the code has changed and no result has, so
that what is finished takes the keys of the code at hand.

That the code alone has changed is shown, not believed: with the params and data of today, and the code of the commit
that made a result, the key must come out under which it was made. If it does, edits that were not committed
(`abc1234-dirty`) were of nothing that decides the result.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpd.ablation.commits import committed, earlier_code
from gpd.ablation.earlier import is_present
from gpd.ablation.plan import Run
from gpd.ablation.results import RunResult
from gpd.ablation.trees import FOLDER, Code, Tree, base_tree, done_file, result_file, run_tree
from gpd.documents import AblationRow, flatten, load_document, write_document
from gpd.params import Params
from gpd.stages import value_at

Made = tuple[str, int, str]  # a variant, its budget, and the key under which one of its runs was made


@dataclass(frozen=True)
class Today:
    """What is declared now: params of the base, and runs with the places of their results; `floors` are the grid's."""

    params: Params
    base: Tree
    results: list[tuple[Run, Path]]
    floors: frozenset[str] = frozenset()

    def params_for(self, code: Code) -> Params:
        """Of the base, less baselines that the code's own params.yaml did not have: what a run made is not of them."""
        theirs = (code.params or {}).get("sample", {}).get("subjects", {})
        known = theirs.keys() | self.floors
        subjects = {name: subject for name, subject in self.params.sample.subjects.items() if name in known}
        return self.params.model_copy(update={"sample": self.params.sample.model_copy(update={"subjects": subjects})})

    @property
    def variants(self) -> set[str]:
        """Those that the runs are of."""
        return {run.variant for run, _ in self.results}

    @property
    def keys(self) -> set[str]:
        """Of the runs."""
        return {now.stem for _, now in self.results}

    def stale(self, rows: Sequence[AblationRow]) -> list[AblationRow]:
        """Rows of these variants that are not of these runs."""
        return [row for row in rows if row.variant in self.variants and not is_present(row, self.keys)]

    def others(self) -> list[RunResult]:
        """Results of these variants in .work/ablation/ that are not of these runs, nor copied for one."""
        found = [_load(file) for file in sorted(FOLDER.glob("*.json"))]
        copied = {result.made for result in found if result.key in self.keys}
        others = (one for one in found if one.variant in self.variants and one.key not in self.keys)
        return [one for one in others if (one.made or one.key) not in copied]

    def commits(self, rows: Sequence[AblationRow]) -> list[str]:
        """Those whose code has made any of them."""
        made = [result.commit for result in self.others()] + [row.commit for row in self.stale(rows)]
        return sorted(set(filter(None, map(committed, made))))


@dataclass
class Accepted:
    """What became of what the code of a commit has made.

    Attributes:
        new: settings that it did not have, with the values that its results are of now.
        results, rows: how many files of .work/ablation/ and rows of results.json are today's now.
        left: variants of those that are not, since they have other params or data, or no key was kept.
    """

    commit: str
    new: dict[str, Any]
    results: int = 0
    rows: int = 0
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """In one line."""
        parts = [f"{self.commit}: {self.results} results and {self.rows} rows are those of the code at hand now"]
        if self.new:
            values = (f"{key}={value}" for key, value in self.new.items())
            parts.append(f"settings that it did not have: {', '.join(values)}")
        if self.left:
            parts.append(f"left, as params or data differ or no key was kept: {', '.join(dict.fromkeys(self.left))}")
        return "; ".join(parts)


def accept(commit: str, today: Today, rows: Sequence[AblationRow]) -> tuple[Accepted, list[AblationRow]]:
    """Gives what a commit's code has made today's keys: files in .work/ablation/, and rows, all of which are returned.

    The older files stay, so that earlier code goes on finding them, and later code can be shown the same.

    Raises:
        UserError: the commit's code cannot be had.
    """
    with earlier_code(commit) as code:
        base, accepted = base_tree(today.params_for(code), code), Accepted(commit, _new_settings(today.params, code))
        pairs = [
            (run, result_file(run, run_tree(run, base, code), base), now)
            for run, now in today.results
            if _has(run.params, accepted.new)
        ]
    accepted.results = sum([_accept_result(then, now) for _, then, now in pairs])
    if accepted.results:
        _accept_base(base, today.base)
    accepted.left = [result.variant for result in today.others() if committed(result.commit) == commit]
    names = {(run.variant, run.budget, then.stem): now.stem for run, then, now in pairs}
    its = [row for row in today.stale(rows) if committed(row.commit) == commit]
    return accepted, [_accept_row(row, names, accepted) if row in its else row for row in rows]


def _new_settings(params: Params, code: Code) -> dict[str, Any]:
    known = flatten(code.read(params))
    return {key: value for key, value in flatten(params.model_dump()).items() if key not in known}


def _has(params: Params, settings: dict[str, Any]) -> bool:
    """Whether all of the settings have these values: a run that differs in one is none that earlier code has done."""
    values = params.model_dump()
    return all(value_at(values, key) == value for key, value in settings.items())


def _load(file: Path) -> RunResult:
    return load_document(RunResult, file, "`gpd ablate` writes it").model_copy(update={"key": file.stem})


def _accept_result(then: Path, now: Path) -> bool:
    """Whether it was accepted: it is there, and today's code had none."""
    if now.exists() or not then.exists():
        return False
    result = _load(then)
    shown = {"key": "", "made": result.made or result.key, "commit": committed(result.commit)}
    write_document(now, result.model_copy(update=shown))
    return True


def _accept_base(then: Tree, now: Tree) -> None:
    """What all runs share, if today's code has not made it: copied, with its finished stages under today's keys."""
    if now.folder.exists() or not then.folder.exists():
        return
    partial = now.folder.with_name(f".{now.folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(then.folder, partial, symlinks=True)
    for name in now.stages.keys() & then.stages.keys():
        if (partial / done_file(then, name)).exists():
            (partial / done_file(then, name)).rename(partial / done_file(now, name))
    partial.rename(now.folder)


def _accept_row(row: AblationRow, names: dict[Made, str], accepted: Accepted) -> AblationRow:
    made = row.made or row.runs
    keys = [names.get((row.variant, row.budget, key)) for key in made]
    if not made or None in keys:
        accepted.left.append(row.variant)
        return row
    accepted.rows += 1
    return row.model_copy(update={"runs": keys, "made": made, "is_stale": False, "commit": committed(row.commit)})
