"""Run by test_launch: two processes, each of which notes its number in a folder; then one or all of them end."""

import os
import sys
import time
from pathlib import Path

from gpd.artifacts import UserError
from gpd.distillation.processes import launch


def main() -> None:
    """Arguments: the folder, and what process 1 does."""
    folder, what = Path(sys.argv[1]), sys.argv[2]

    def work() -> None:
        rank = os.environ["RANK"]
        (folder / f"pid-{rank}").write_text(str(os.getpid()))
        while len(list(folder.glob("pid-*"))) < 2:
            time.sleep(0.05)
        if rank == "1" and what == "mistake":
            raise UserError("params.yaml: a mistake of process 1")
        time.sleep(600)

    launch.on_all_processes(["-m", "tests.distillation.launched", *sys.argv[1:]], work)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"gpd: {error}", file=sys.stderr)
        sys.exit(2)
