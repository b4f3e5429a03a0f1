import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gpd.artifacts import DamagedError, UserError
from gpd.core.schedule import make_grid
from gpd.data import encode, prepare
from gpd.data.shards import open_latents
from gpd.distillation import loading
from gpd.params import Params
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


CPU = torch.device("cpu")


def with_states(params: Params, **shares: float) -> Params:
    states = params.distill.states.model_copy(update=shares)
    return params.model_copy(update={"distill": params.distill.model_copy(update={"states": states})})


def test_clips_that_are_asked_for_must_be_there(workspace: Params) -> None:
    with pytest.raises(UserError, match=r"^params\.yaml: distill\.states\.clips=0\.25, but data/latents has no clips$"):
        loading.make_stage(with_states(workspace, stream=0.75, clips=0.25), "k4", Path("work"), CPU)


def test_a_stage_holds_what_the_folders_hold(workspace: Params) -> None:
    """It begins with the student before, whose horizon is 1."""
    params = with_states(workspace, stream=1.0, clips=0.0)
    stage = loading.make_stage(params, "k4", Path("work"), CPU)
    assert (stage.name, stage.previous_horizon, stage.work) == ("k4", 1, Path("work"))
    assert (len(stage.clips), len(stage.rollouts), stage.mesh) == (0, 0, None)
    assert stage.latent_shape == (16, 2, 8, 8)
    assert len(stage.strip_prompts) == 2
    assert torch.equal(stage.grid.sigmas, make_grid(8, params.model.shift).sigmas)


def test_held_out_prompts_of_the_strip_are_known_by_the_number_of_their_text(miniature: Params) -> None:
    strip = miniature.distill.probe.model_validate({"num_states": 2, "strip": {"every": 2, "num_prompts": 1}})
    params = miniature.model_copy(update={"distill": miniature.distill.model_copy(update={"probe": strip})})
    stage = loading.make_stage(params, "k4", Path("work"), CPU)
    ((text_id, number),) = stage.strip_prompts.items()
    assert text_id == next(iter(open_latents(loading.LATENTS, params).texts("evaluation")))
    assert stage.texts.ids[number] == text_id  # type: ignore[attr-defined]
    assert number >= stage.num_prompts
    assert len(stage.clips) == 2
    latents, caption = stage.clips[0]
    assert (latents.dtype, latents.shape) == (torch.float32, stage.latent_shape)
    assert 0 <= caption < len(stage.texts)


def test_a_network_that_is_not_what_its_manifest_names_is_no_stage(workspace: Params) -> None:
    (file,) = Path("data/students/k1/transformer").glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()
    file.write_bytes(content)
    params = with_states(workspace, stream=1.0, clips=0.0)
    with pytest.raises(DamagedError, match=r"data/students/k1/transformer/.*: damaged"):
        loading.make_stage(params, "k4", Path("work"), CPU)
