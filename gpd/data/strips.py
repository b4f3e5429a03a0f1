"""strip.safetensors in a student's folder: samples of the same prompts and noise on the way through its training.

"0", "50", ..  [P, C, F, H, W]: the student's ends after so many iterations, in its own number of steps
"teacher"      [P, C, F, H, W]: the guided teacher's on the base grid
In the header: the ids of the P prompts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from gpd.artifacts import system_errors
from gpd.documents import check_files

STRIP, TEACHER = "strip.safetensors", "teacher"


@dataclass(frozen=True)
class Strip:
    """Ends [P, C, F, H, W] by the number of iterations, rising, then the teacher's; and the P prompts' ids."""

    ends: dict[str, np.ndarray]
    prompts: list[str]


def in_order(ends: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By the number of iterations, the teacher's last."""
    return {name: ends[name] for name in sorted(ends, key=lambda name: (name == TEACHER, name.zfill(12)))}


def save_strip(folder: Path, strip: Strip) -> None:
    """Writes the file into a student's folder."""
    ends = {name: np.ascontiguousarray(latents) for name, latents in strip.ends.items()}
    with system_errors(folder / STRIP):
        save_file(ends, folder / STRIP, metadata={"prompts": json.dumps(strip.prompts)})


def load_strip(folder: Path) -> Strip | None:
    """Reads the file from a student's folder; None if there is none.

    Raises:
        UserError: it is not what the manifest says.
    """
    if not (folder / STRIP).is_file():
        return None
    check_files(folder, STRIP)
    with safe_open(folder / STRIP, "numpy") as file:
        ends = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        return Strip(in_order(ends), json.loads(file.metadata()["prompts"]))
