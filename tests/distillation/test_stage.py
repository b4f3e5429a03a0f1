import dataclasses
from pathlib import Path

import pytest
import torch

from gpd.core.velocity import guide
from tests.distillation.test_trainer import SHAPE, make_stage
from tests.toy import BlockNetwork, text_of


@torch.no_grad()
def test_guidance_may_lead_away_from_a_teacher_without_a_block(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, guidance={"skip_block": 0})
    stage = dataclasses.replace(stage, teacher=BlockNetwork())
    without = BlockNetwork()
    without.load_state_dict(stage.teacher.state_dict())
    without.blocks[0] = torch.nn.Identity()
    latents, timesteps, scale = torch.randn(2, *SHAPE), torch.tensor([900, 20]), torch.tensor([3.0, 1.5])
    text, negative = text_of(1.0, 2.0), text_of(0.0, 0.0)
    expected = guide(stage.teacher(latents, timesteps, text), without(latents, timesteps, negative), scale)
    assert torch.equal(stage.guided_teacher(text, scale)(latents, timesteps), expected)


@pytest.mark.parametrize(
    ("horizon", "final_steps", "share", "is_final"),
    [(1, 6, 0, False), (4, 6, 3 / 7, False), (8, 6, 1, True), (16, 6, 1, True), (1, 48, 0, True), (2, 48, 1, True)],
)
def test_the_share_of_the_curriculum_by_hand(
    tmp_path: Path, horizon: int, final_steps: int, share: float, is_final: bool
) -> None:
    """Of a grid of 48 steps: a student of 6 has steps of 8 intervals."""
    stage = make_stage(tmp_path, horizon, horizon, final_steps=final_steps)
    assert stage.share_of_curriculum == pytest.approx(share)
    assert stage.is_final is is_final
