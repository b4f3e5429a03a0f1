"""`gpd ablate`: the declared grid on this machine, several runs at once; what is finished is not run again."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gpd.ablation.accept import Today, accept
from gpd.ablation.earlier import join_rows
from gpd.ablation.grid import AblationGrid, load_grid
from gpd.ablation.markdown import make_markdown
from gpd.ablation.page import make_page
from gpd.ablation.plan import Run, base_params, make_runs
from gpd.ablation.results import load_results, make_floors, make_rows
from gpd.ablation.runs import execute, load_floors, make
from gpd.ablation.side_by_side import run_all
from gpd.ablation.tables import print_rows
from gpd.ablation.trees import Tree, base_tree, code_at_hand, result_file, run_tree
from gpd.ablation.variants import all_variants, choose
from gpd.artifacts import UserError, is_leftover, write_text
from gpd.documents import AblationResults, load_document, write_document
from gpd.params import Params

OUTPUT = Path("data/ablation")
RESULTS = "results.json"


@dataclass(frozen=True)
class _Job:
    """A run, where it happens and where its result lies."""

    run: Run
    tree: Tree
    result: Path


def run(params: Params, *, only: Sequence[str], jobs: int, is_table_only: bool, is_accepting: bool = False) -> None:
    """Runs what is missing and writes table, curves and page into data/ablation/.

    Args:
        only: variants to run; all when empty. The table has every finished variant either way.
        jobs: runs at once; the processor's cores are shared out among them.
        is_table_only: run nothing.
        is_accepting: run nothing, and take results of earlier code for those of the code at hand.

    Raises:
        UserError: the grid is not valid, `only` names an unknown variant, or a run failed.
    """
    grid = load_grid()
    chosen, code = choose(grid, only), code_at_hand()
    base = base_tree(base_params(grid, params), code)
    every = [_job(one, base, run_tree(one, base, code)) for one in make_runs(grid, params)]
    failures: list[str] = []
    if is_accepting:
        jobs_chosen = [(job.run, job.result) for job in every if job.run.variant in chosen]
        floors = frozenset(f"teacher-{steps}" for steps in grid.floors)
        _accept(Today(base_params(grid, params), base, jobs_chosen, floors))
    elif not is_table_only:
        make(base, Path.cwd())
        wanted = {job.result: job for job in every if job.run.variant in chosen}  # equal runs once
        failures = _run_all([job for result, job in wanted.items() if not result.exists()], jobs)
    if base.folder.exists() or not is_accepting:  # rows may be accepted where no run has ever been
        _write(grid, every, base)
    if failures:
        raise UserError("\n".join(failures))


def _accept(today: Today) -> None:
    """Commit by commit, with a line for each; results.json has the rows as they are then.

    Raises:
        UserError: nothing there is of earlier code.
    """
    results = earlier_results()
    rows = [row for one in results for row in one.rows]
    commits = today.commits(rows)
    if not commits:
        raise UserError("ablate: nothing to accept: what is finished is of the code at hand")
    for commit in commits:
        try:
            accepted, rows = accept(commit, today, rows)
            print(f"ablate: {accepted}")
        except UserError as error:
            print(f"ablate: {commit}: nothing accepted: {error}")
    for one in results:
        write_outcome(one.model_copy(update={"rows": rows}), OUTPUT)


def earlier_results() -> list[AblationResults]:
    """results.json, if there is one."""
    path = OUTPUT / RESULTS
    return [load_document(AblationResults, path, "remove it, `gpd ablate` writes it")] if path.exists() else []


def show_plan(params: Params, *, only: Sequence[str]) -> None:
    """Prints the overrides of params.yaml that make each run, as JSON by the run's name.

    Raises:
        UserError: the grid is not valid, or `only` names an unknown variant.
    """
    grid = load_grid()
    chosen = choose(grid, only)
    print(json.dumps({one.name: one.overrides for one in make_runs(grid, params) if one.variant in chosen}, indent=2))


def _job(one: Run, base: Tree, tree: Tree) -> _Job:
    return _Job(one, tree, result_file(one, tree, base))


def _run_all(jobs: list[_Job], at_once: int) -> list[str]:
    """One line for each run that failed; the others are finished all the same."""
    threads = max(1, len(os.sched_getaffinity(0)) // at_once)  # more of them than cores wait for each other
    calls = {job.run.name: partial(execute, job.run, job.tree, job.result, Path.cwd(), threads) for job in jobs}
    return run_all("ablate", calls, at_once)


def _write(grid: AblationGrid, jobs: list[_Job], base: Tree) -> None:
    """Gathers what is finished: results.json for the report and people's own plots, table.md, ablation.html."""
    variants, floors = all_variants(grid), load_floors(base)
    rows = make_rows(variants, load_results((job.run.variant, job.run.budget, job.result) for job in jobs))
    protocol = floors[0].protocol.hash
    earlier = [row for results in earlier_results() for row in results.rows if row.protocol == protocol]
    rows = join_rows(rows, earlier, variants, {job.result.stem for job in jobs})
    results = AblationResults(protocol=protocol, seeds=grid.seeds, rows=rows, floors=make_floors(floors))
    write_outcome(results, OUTPUT)
    print_rows(results.best_rows())
    print(f"ablate: {OUTPUT}/ablation.html")


def write_outcome(results: AblationResults, folder: Path) -> None:
    """The three files of an ablation; what a killed one was writing beside them goes."""
    for path in folder.glob(".*"):
        if is_leftover(path):
            path.unlink(missing_ok=True)
    write_document(folder / RESULTS, results)
    write_text(folder / "table.md", make_markdown(results))
    write_text(folder / "ablation.html", make_page(results))
