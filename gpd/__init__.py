"""Guided Progressive Distillation (arXiv 2602.01814) of Wan2.1; rooms and data path: ARCHITECTURE.md."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpd.api import best, compare, load_student, open_registry, sample

__all__ = ["best", "compare", "load_student", "open_registry", "sample"]

# PyTorch's threads wait for each other in a busy loop, which is right for one process on its cores. Two at once (two
# runs, a training beside an evaluation) then burn the time that the others need: on two cores each of two trainings
# ran 90 times slower than one alone. A short spin gives up the core instead: 2.4 times slower each, alone as fast.
# It must stand in the environment before torch is loaded; a value of the user's own wins.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def __getattr__(name: str) -> Any:
    """The functions of gpd/api.py, which import torch, diffusers and SQL when they are first asked for (PEP 562)."""
    if name in __all__:
        return getattr(importlib.import_module("gpd.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
