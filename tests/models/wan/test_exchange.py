"""Wan's names for its weights, and what other programs make of them."""

import json
from pathlib import Path

import pytest
import torch

from gpd.models import wan
from gpd.models.wan.exchange import WanExchange
from gpd.models.wan.native import to_native


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("blocks.0.attn1.to_q.weight", "blocks.0.self_attn.q.weight"),
        ("blocks.12.attn2.to_out.0.bias", "blocks.12.cross_attn.o.bias"),
        ("blocks.1.ffn.net.0.proj", "blocks.1.ffn.0"),
        ("blocks.1.ffn.net.2.weight", "blocks.1.ffn.2.weight"),
        ("blocks.1.norm2.weight", "blocks.1.norm3.weight"),
        ("blocks.1.attn1.norm_k.weight", "blocks.1.self_attn.norm_k.weight"),
        ("blocks.1.scale_shift_table", "blocks.1.modulation"),
        ("scale_shift_table", "head.modulation"),
        ("proj_out.weight", "head.head.weight"),
        ("condition_embedder.time_proj.bias", "time_projection.1.bias"),
        ("patch_embedding.weight", "patch_embedding.weight"),
    ],
)
def test_names_as_in_wans_repository(ours: str, theirs: str) -> None:
    assert to_native(ours) == theirs


def test_diffusers_converts_all_names_back(small_wan: Path) -> None:
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    names = list(wan.load_network(small_wan, merge_padding=False).transformer.state_dict())
    native = {to_native(name): torch.tensor(float(index)) for index, name in enumerate(names)}
    assert len(native) == len(names)
    back = convert_wan_transformer_to_diffusers(native)
    assert {name: int(number) for name, number in back.items()} == {name: index for index, name in enumerate(names)}


@pytest.mark.parametrize(
    ("layers", "heads", "name"), [(30, 12, "wan2.1_t2v_1.3b"), (40, 40, "wan2.1_t2v_14b"), (2, 2, None)]
)
def test_published_sizes_have_names(layers: int, heads: int, name: str | None, tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    config = {"num_layers": layers, "num_attention_heads": heads}
    (tmp_path / "transformer" / "config.json").write_text(json.dumps(config))
    assert WanExchange().published_name(tmp_path) == name


def test_what_stays_in_float32() -> None:
    kept = WanExchange().keeps_float32
    names = ("condition_embedder.time_embedder.linear_1.weight", "scale_shift_table", "blocks.0.norm2.bias")
    assert all(kept(name) for name in names)
    assert not any(kept(name) for name in ("blocks.0.attn1.to_q.weight", "blocks.0.attn1.norm_q.weight"))
