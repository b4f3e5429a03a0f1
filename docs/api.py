"""Writes pages of the public modules from their docstrings; what an import or a docstring has wrong ends it.

python docs/api.py build/docs
"""

import sys
import warnings
from pathlib import Path
from pkgutil import iter_modules

import pdoc

import gpd

FIRST = "gpd.api"  # for scripts; all else is for who changes gpd
# `gpd --help` says what these do
COMMANDS = {"__main__", "ablation", "bench", "cli", "planning", "report", "tiny", "upkeep", "vbench"}


def main(folder: Path) -> None:
    """Renders all modules; `gpd` itself has the names of gpd.api and no page.

    Raises:
        UserWarning: a name in `__all__` is missing, a module stands twice.
        RuntimeError: a module cannot be imported.
    """
    warnings.filterwarnings("error", module="pdoc")
    # pdoc reads the annotations of a class that another module passes on by that module's names
    warnings.filterwarnings("ignore", "Error parsing type annotation", module="pdoc")
    pdoc.render.configure(docformat="google", search=False, show_source=False)  # half of the time
    rooms = sorted({module.name for module in iter_modules(gpd.__path__)} - COMMANDS - {"api"})
    pdoc.pdoc(FIRST, *(f"gpd.{room}" for room in rooms), "!gpd.registry.migrations", output_directory=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
