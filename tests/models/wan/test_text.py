import shutil
from pathlib import Path

import pytest
import torch

from gpd.artifacts import MANIFEST
from gpd.core.precision import multiplies_bfloat16
from gpd.models import wan
from gpd.tiny import text as tiny_text
from tests.models.wan.states import CAPTION, distance


def test_texts_embed_the_same_alone_and_in_company(small_wan: Path) -> None:
    encoder = wan.TextEncoder(small_wan)
    alone = encoder.encode([CAPTION])[0]
    in_company = encoder.encode(["a " * 100, CAPTION, "雪の中の猫 🐈"])[1]
    assert alone.shape == (11, 64)
    assert distance(in_company, alone) < 1e-5


def test_long_texts_are_cut_where_wan_cuts_them(small_wan: Path) -> None:
    assert wan.TextEncoder(small_wan).encode(["snow " * 2000])[0].shape[0] == wan.TEXT_LENGTH


@pytest.fixture
def half_sized(small_wan: Path, tmp_path: Path) -> Path:
    """A text encoder that is stored in bfloat16, as Wan's is."""
    shutil.copytree(small_wan, tmp_path / "model", ignore=shutil.ignore_patterns(MANIFEST))
    encoder = wan.make_text_encoder(tiny_text.UMT5_CONFIG).bfloat16()
    encoder.save_pretrained(tmp_path / "model" / "text_encoder", safe_serialization=True)
    return tmp_path / "model"


def test_an_encoder_in_bfloat16_is_float32_on_a_cpu_without_instructions_for_it(half_sized: Path) -> None:
    encoder = wan.TextEncoder(half_sized)
    assert encoder.encoder.dtype == (torch.bfloat16 if multiplies_bfloat16("cpu") else torch.float32)
    assert encoder.encode(["snow"])[0].dtype == torch.float32


def test_the_wanted_format_goes_before_that_of_the_files(half_sized: Path, small_wan: Path) -> None:
    assert wan.TextEncoder(half_sized, dtype="float32").encoder.dtype == torch.float32
    expected = torch.bfloat16 if multiplies_bfloat16("cpu") else torch.float32
    assert wan.TextEncoder(small_wan, dtype="bfloat16").encoder.dtype == expected
