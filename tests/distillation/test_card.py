import ast
import re
from pathlib import Path

import yaml

from gpd.distillation.card import CARD, write_card
from gpd.documents import BaseFacts, Identity, Probed, StudentFacts
from gpd.models.wan.exchange import WanExchange

SETTINGS = {"model.height": 64, "model.width": 32, "model.num_frames": 17, "distill.stages.k9.batch": 16}
BASE = BaseFacts(name="a | `b`\n# c", repository="Wan-AI/x", revision="12ab")
INPUTS = {"base": Identity(kind="base", content="ab" * 32)}


def facts(**changes: object) -> StudentFacts:
    probed = Probed(residual=0.5, rollout_distance=0.25)
    known = {"stage": "k9", "horizon": 9, "horizons": [], "grid_steps": 36, "sampling_steps": 4, "iterations": 30}
    spent = {"forwards": {"teacher": 1234}, "samples_seen": 480, "before": probed, "after": probed}
    return StudentFacts.model_validate({**known, **spent, **changes})


def written(folder: Path, **changes: object) -> tuple[dict[str, object], str]:
    write_card(folder, facts(**changes), SETTINGS, INPUTS, BASE, WanExchange())
    _, header, body = (folder / CARD).read_text().split("---\n", 2)
    return yaml.safe_load(header), body


def test_a_card_says_what_a_pipeline_cannot_keep_and_its_example_is_python(tmp_path: Path) -> None:
    header, body = written(tmp_path)
    assert (header["license"], header["base_model"]) == ("apache-2.0", "Wan-AI/x")
    assert "**Call it with `num_inference_steps=4, guidance_scale=1.0`.**" in body
    (example,) = re.findall(r"```python\n(.*?)```", body, re.S)
    calls = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Call)]
    given = {keyword.arg: ast.literal_eval(keyword.value) for call in calls for keyword in call.keywords}
    sizes = {"height": 64, "width": 32, "num_frames": 17}
    assert given == {**sizes, "num_inference_steps": 4, "guidance_scale": 1.0, "fps": 16}
    assert "| forwards of the teacher | 1,234 |" in body
    assert "| batch | 16 |" in body


def test_names_mean_nothing_to_markdown(tmp_path: Path) -> None:
    _, body = written(tmp_path)
    assert "# k9: a \\| 'b' # c in 4 steps" in body


def test_what_is_no_pipeline_has_no_example(tmp_path: Path) -> None:
    for changes in ({"heads": 36}, {"sampling_steps": None}, {"base_path": "data/base"}):
        assert "from diffusers" not in written(tmp_path, **changes)[1]


def test_a_horizon_that_does_not_divide_the_grid_takes_one_step_more(tmp_path: Path) -> None:
    _, body = written(tmp_path, horizon=7, sampling_steps=None)  # 7 x 5 + 1 of 36 intervals
    assert "in 6 steps, without guidance" in body
    assert "| one step covers | 7 of 36 intervals |" in body


def test_what_is_not_known_is_not_said(tmp_path: Path) -> None:
    base = BaseFacts(name='a "b" <i>', repository=None, revision=None)
    write_card(tmp_path, facts(), {"model.height": 64}, INPUTS, base, None)
    _, header, body = (tmp_path / CARD).read_text().split("---\n", 2)
    assert {"license", "base_model"}.isdisjoint(yaml.safe_load(header))
    assert {"distillation", "gpd"} <= set(yaml.safe_load(header)["tags"])
    assert "licence" not in body
    assert '| base model | a "b" &lt;i&gt; |' in body
    assert 'over a plain background", height=64, num_inference_steps=4' in body
