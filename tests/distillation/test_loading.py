import shutil
from pathlib import Path

import numpy as np
import torch

from gpd.data import encode, prepare
from gpd.data.shards import open_latents
from gpd.distillation import loading
from tests.distillation.test_distill import params_of, write_source
from tests.workspace import add_pipeline, working_in


def test_a_stage_needs_neither_text_encoder_nor_vae(small_wan: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(small_wan, base)
    params = params_of(base)
    add_pipeline(tmp_path)
    with working_in(tmp_path):
        write_source()
        prepare.run(params)
        encode.run(params, "0/1")
        for weights in [*base.glob("text_encoder/*.safetensors"), *base.glob("vae/*.safetensors")]:
            weights.unlink()
        stage = loading.make_stage(params, "k4", tmp_path / "work", torch.device("cpu"))
        assert (stage.previous_horizon, stage.num_prompts) == (0, 2)  # it begins as the base model
        embeddings = open_latents(loading.LATENTS, params).texts()
        assert sorted(stage.texts.number.values()) == list(range(len(embeddings)))  # type: ignore[attr-defined]
        for text_id, number in stage.texts.number.items():  # type: ignore[attr-defined]
            assert torch.equal(stage.texts[number], torch.from_numpy(embeddings[text_id]))


def test_prompts_that_stream_come_first_and_no_text_comes_twice() -> None:
    arrays = {name: np.full((2, 3), value, dtype=np.float16) for value, name in enumerate("abcd")}
    texts = loading.Texts(arrays, first=["c", "b"])
    assert texts.ids == ["c", "b", "a", "d"]
    assert [texts[number][0, 0].item() for number in range(len(texts))] == [2, 1, 0, 3]
    assert texts[0].dtype == torch.float16  # as stored
