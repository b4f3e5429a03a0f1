"""`gpd ablate`: the declared grid on this machine, several runs at once; what is finished is not run again."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from gpd.ablation.grid import GRID_FILE, Run, base_params, load_grid, make_runs
from gpd.ablation.runs import base_tree, execute, make_base, result_file
from gpd.ablation.table import OUTPUT, collect, print_rows, write_outcome
from gpd.artifacts import UserError
from gpd.params import Params
from gpd.progress import progress_bar


def run(params: Params, *, only: Sequence[str], jobs: int, is_table_only: bool) -> None:
    """Runs what is missing and writes table, curves and page into data/ablation/.

    Args:
        only: variants to run; all when empty. The table has every finished variant either way.
        jobs: runs at once; the processor's cores are shared out among them.

    Raises:
        UserError: the grid is not valid, `only` names an unknown variant, or a run failed.
    """
    grid = load_grid()
    unknown = sorted(set(only) - set(grid.variants))
    if unknown:
        raise UserError(f"{GRID_FILE}: variants has no {unknown[0]!r}; it has {', '.join(grid.variants)}")
    shared = base_params(grid, params)
    base, runs = base_tree(shared), list(make_runs(grid, params))
    failures: list[str] = []
    if not is_table_only:
        make_base(base, shared)
        wanted = {result_file(one, base): one for one in runs if not only or one.variant in only}  # equal runs once
        failures = _run_all([one for result, one in wanted.items() if not result.exists()], base, jobs)
    rows = collect(grid, runs, base)
    write_outcome(grid, rows, base)
    print_rows(rows)
    print(f"ablate: {OUTPUT}/ablation.html")
    if failures:
        raise UserError("\n".join(failures))


def _run_all(runs: list[Run], base: Path, jobs: int) -> list[str]:
    """One line for each run that failed; the others are finished all the same."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    failures = []
    spawning = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with (
        progress_bar("ablate", len(runs)) as advance,
        ProcessPoolExecutor(jobs, mp_context=spawning, max_tasks_per_child=1) as pool,
    ):
        futures = {pool.submit(execute, one, Path.cwd(), base, threads): one for one in runs}
        for done, future in enumerate(as_completed(futures), start=1):
            error = future.exception()
            if error is not None:
                failures.append(f"ablate: {futures[future].name}: {error}")
            advance(done, futures[future].name)
    return failures
