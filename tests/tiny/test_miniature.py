"""The published miniature: as good as its manifest says, and fixed by hash."""

from pathlib import Path

import numpy as np
import torch

from gpd import documents
from gpd.core.randomness import seeded_noise
from gpd.core.sampler import sample
from gpd.core.schedule import make_grid
from gpd.core.velocity import stack_text
from gpd.models.families import open_model
from gpd.tiny.clips import draw, split_scenes
from gpd.tiny.oracle import agreement

FOLDER = Path(__file__).parents[2] / "data" / "tiny-wan"
GOALS = {"colour": 0.95, "direction": 0.90, "background": 0.90, "shape": 0.75}


def test_its_files_are_those_of_its_manifest_and_small() -> None:
    assert documents.verify(FOLDER) == []
    sizes = [file.size for file in documents.load_manifest(FOLDER, documents.BaseFacts).files.values()]
    assert sum(sizes) <= 10 * 2**20


def test_its_figures_reach_the_goals() -> None:
    facts = documents.load_manifest(FOLDER, documents.BaseFacts).facts.model_dump()
    assert facts["vae_psnr"] >= 26
    assert all(facts["caption_agreement"][name] >= goal for name, goal in GOALS.items())


def test_its_vae_rebuilds_clips_that_it_never_saw() -> None:
    _, held_out = split_scenes()
    codec = open_model(FOLDER).load_codec()
    frames = np.stack([draw(scene, 5_000_000 + n) for n, scene in enumerate(held_out[::32])])
    rebuilt = codec.decode(codec.encode(frames))
    error = ((frames.astype(float) - rebuilt) / 255) ** 2
    assert -10 * np.log10(error.mean()) >= 26


def test_its_samples_follow_captions_that_it_never_saw() -> None:
    """A small fresh draw in few steps, so the bounds are loose: the manifest has the figures of all 256."""
    _, held_out = split_scenes()
    captions = [scene.caption for scene in held_out[::32]]
    encoder, codec = open_model(FOLDER).load_text_encoder(), open_model(FOLDER).load_codec()
    noise = torch.stack([seeded_noise((16, 5, 8, 8), seed=11, index=n) for n in range(len(captions))])
    latents = sample(
        open_model(FOLDER).load_network(merge_padding=True),
        noise,
        stack_text(encoder.encode(captions)),
        make_grid(16, 3.0),
        negative=stack_text(encoder.encode([""])),
        guidance_scale=3.0,
    )[-1]
    shares = {name: values.mean() for name, values in agreement(codec.decode(latents), captions).items()}
    assert shares["colour"] >= 0.85
    assert shares["background"] >= 0.75
    assert shares["direction"] >= 0.75
