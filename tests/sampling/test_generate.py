from pathlib import Path

import numpy as np
import pytest

from gpd.artifacts import UserError
from gpd.data.clips import load_clip
from gpd.params import Params
from gpd.sampling import generate

OUT = Path("out/clip.mp4")


def load() -> np.ndarray:
    return load_clip(OUT, frames_per_second=16.0, num_frames=5, height=64, width=64)


def run(params: Params, **changes: object) -> None:
    settings = {"prompt": "a red circle", "out": OUT, "student": None, "checkpoint": None, "seed": 0} | changes
    generate.run(params, **settings)  # type: ignore[arg-type]


def test_last_student_by_default(workspace: Params, capsys: pytest.CaptureFixture[str]) -> None:
    run(workspace)
    assert capsys.readouterr().out.strip() == "generate: k4, 2 forwards, seed 0 -> out/clip.mp4"
    assert load().shape == (5, 64, 64, 3)


def test_seed_decides(workspace: Params) -> None:
    run(workspace)
    first = OUT.read_bytes()
    run(workspace)
    assert OUT.read_bytes() == first
    run(workspace, seed=1)
    assert OUT.read_bytes() != first


def test_the_base_model_is_sampled_with_all_steps_and_guidance(
    workspace: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    run(workspace, checkpoint=workspace.model.path)
    assert "teacher-8, 16 forwards" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": " "}, "--prompt is empty"),
        ({"out": Path("clip.gif")}, r"--out=clip.gif: the file must end in .mp4"),
        ({"student": "k9"}, r"--student=k9: .* it has k1, k4"),
        ({"student": "k1", "checkpoint": "x"}, "give one of them"),
        ({"checkpoint": "nowhere"}, r"--checkpoint=nowhere: no such folder, and registry.db: no registry here"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(workspace: Params, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(workspace, **changes)
    assert not OUT.exists()
