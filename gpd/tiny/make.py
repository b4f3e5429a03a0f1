"""`gpd tiny train`: the miniature Wan from nothing, and how good it became."""

import math
from pathlib import Path
from typing import Any

from gpd import artifacts, documents
from gpd.documents import BaseFacts
from gpd.progress import progress_bar

WORK = artifacts.WORK / "tiny"
GRID_STEPS, GUIDANCE_SCALE, BATCH = 48, 3.0, 16
PARTS = {"latents": "latents of the training clips", "decoder": "VAE decoder", "transformer": "transformer"}


def run(out: Path) -> None:
    """Trains (or goes on training) in .work/tiny and writes the finished pipeline with its manifest to `out`."""
    from gpd.tiny import train

    with documents.recording_run("tiny", {"out": str(out)}):
        vae = train.make_encoder(WORK, _ignore)
        latents = _with_bar("latents", train.NUM_CLIPS, lambda report: train.make_latents(vae, WORK, report))
        train.set_statistics(vae, latents)
        _with_bar("decoder", train.DECODER_ITERATIONS, lambda report: train.train_decoder(vae, latents, WORK, report))
        network = _with_bar(
            "transformer",
            train.TRANSFORMER_ITERATIONS,
            lambda report: train.train_transformer(train.normalise(vae, latents), WORK, report),
        )
        with artifacts.replacing(out) as folder:
            train.save(folder, vae, network, GRID_STEPS)
            measured = measure(folder)
            facts = BaseFacts.model_validate({"name": out.name, "repository": None, "revision": None, **measured})
            manifest = documents.write_manifest(folder, facts, inputs={}, params=train.settings())
    figures = ", ".join(f"{name} {value:.1%}" for name, value in measured["caption_agreement"].items())
    print(f"tiny train: {out} is {manifest.content[:12]}; VAE {measured['vae_psnr']:.1f} dB; captions: {figures}")


def _ignore(part: str, iteration: int, total: int, loss: float) -> None:
    """The encoder is set in one step."""


def _with_bar(part: str, total: int, train: Any) -> Any:
    with progress_bar(PARTS[part], total) as advance:
        return train(lambda _, done, __, loss: advance(done, "" if math.isnan(loss) else f"loss {loss:.4f}"))


def measure(folder: Path) -> dict[str, Any]:
    """VAE reconstruction and caption agreement on the held-out captions, from the files as they are published.

    Returns:
        vae_psnr: dB over all pixels of one clip a held-out caption.
        caption_agreement: by the oracle, of samples with 48 guided steps.
    """
    import numpy as np
    import torch

    from gpd.core.randomness import seeded_noise
    from gpd.core.sampler import sample
    from gpd.core.schedule import make_grid
    from gpd.core.velocity import stack_text
    from gpd.models.families import open_model
    from gpd.tiny.clips import draw, split_scenes
    from gpd.tiny.oracle import agreement
    from gpd.tiny.train import SHIFT

    _, held_out = split_scenes()
    captions = [scene.caption for scene in held_out]
    model = open_model(folder)
    codec, network, encoder = model.load_codec(), model.load_network(merge_padding=True), model.load_text_encoder()
    texts, negative = encoder.encode(captions), stack_text(encoder.encode([""]))
    grid = make_grid(GRID_STEPS, SHIFT)
    errors, frames = [], []
    with progress_bar("measuring", len(captions)) as advance:
        for start in range(0, len(captions), BATCH):
            chosen = range(start, min(start + BATCH, len(captions)))
            drawn = np.stack([draw(held_out[i], 1_000_000 + i) for i in chosen])
            rebuilt = codec.decode(codec.encode(drawn))
            errors.append(((drawn.astype(np.float32) - rebuilt) / 255) ** 2)
            noise = torch.stack([seeded_noise((16, 5, 8, 8), seed=0, index=i) for i in chosen])
            text = stack_text([texts[i] for i in chosen])
            end = sample(network, noise, text, grid, negative=negative, guidance_scale=GUIDANCE_SCALE)[-1]
            frames.append(codec.decode(end))
            advance(chosen.stop, "")
    return {
        "vae_psnr": round(float(-10 * np.log10(np.concatenate(errors).mean())), 2),
        "caption_agreement": {
            name: round(float(value.mean()), 4) for name, value in agreement(np.concatenate(frames), captions).items()
        },
    }
