import dataclasses
from pathlib import Path

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
