"""DVC stage `encode`: text embeddings, clip latents and teacher roll-outs as shards.

A job is one shard. Jobs and their bytes follow from the inputs alone, so any number of processes can share them out;
finished shards wait in .work/encode/FINGERPRINT/ until all are there, then the folder moves to data/latents/.
"""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data.jobs import Encoder, Job, Row, Work, parse_part
from gpd.data.shards import KINDS, NEGATIVE, Sample, content_settings
from gpd.documents import BrokenClip, Identity, LatentsFacts, Manifest, RunRecord, dump
from gpd.params import Params
from gpd.progress import progress_bar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PROMPTS, OUTPUT = Path("data/prompts"), Path("data/latents")
MAX_SHOWN = 10  # broken clips named in the error
BATCH_VALUES, MAX_BATCH = 2_000_000, 8  # latent values and clips at once: one clip of 480 x 832, 8 of the miniature


def run(params: Params, shard: str) -> None:
    """Writes this process's shards and, when all shards are there, data/latents/.

    Args:
        shard: "i/n", process i of n.

    Raises:
        UserError: inputs are missing or changed, or too many clips are broken.
    """
    from gpd.models import wan

    part, num_parts = parse_part(shard)
    wan.check_model(Path(params.model.path))
    inputs = {"base": documents.identify(Path(params.model.path)), "prompts": documents.identify(PROMPTS)}
    settings = content_settings(params)
    jobs = plan(params)
    work = Work(artifacts.WORK / "encode" / artifacts.hash_json([dump(inputs), settings])[:16])
    with documents.recording_run("encode", settings) as record:
        started = time.monotonic()
        _encode(params, work, jobs[part::num_parts], _device(part), record)
        record.device_seconds = time.monotonic() - started
        with work.locked():
            manifest = assemble(params, work, jobs, inputs)
        if manifest is not None:
            record.wrote(OUTPUT, manifest)
    print(_summary(work, jobs, manifest))


def plan(params: Params) -> list[Job]:
    """All jobs, in the order of kinds; text comes first."""
    prompts, clips = _read_rows(PROMPTS / "prompts.jsonl"), _read_rows(PROMPTS / "clips.jsonl")
    captions = [{"id": clip["text"], "text": clip["caption"], "split": "caption"} for clip in clips]
    negative = {"id": NEGATIVE, "text": params.model.negative_prompt, "split": NEGATIVE}
    training = [row for row in prompts if row["split"] == "train"]
    # setdefault keeps the first: a caption that is a prompt as well stays in the prompt's split
    texts: dict[str, Row] = {}
    for row in [negative, *prompts, *captions]:
        texts.setdefault(row["id"], row)
    rows = {
        "text": list(texts.values()),
        "clips": [clip for clip in clips if clip["split"] == "train"],
        "evaluation": [clip for clip in clips if clip["split"] == "evaluation"],
        "rollouts": [
            {"id": f"r-{index:06d}", "index": str(index), **_as_text(training[index % len(training)])}
            for index in range(params.encode.rollouts.num)
        ],
    }
    size = params.encode.samples_per_shard
    return [
        Job(kind, index, rows[kind][start : start + size])
        for kind in KINDS
        for index, start in enumerate(range(0, len(rows[kind]), size))
    ]


def _as_text(row: Row) -> Row:
    return {"text": row["id"], "caption": row["text"]}


def _read_rows(path: Path) -> list[Row]:
    # split at line feeds alone: a prompt may hold other separators of lines
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _encode(params: Params, work: Work, jobs: list[Job], device: str, record: RunRecord) -> None:
    todo = [job for job in jobs if work.result(job) is None]
    total = sum(len(job.rows) for job in todo)
    makers = {"text": text_encoder, "clips": clip_encoder, "evaluation": clip_encoder, "rollouts": rollout_encoder}
    record.device = device
    with progress_bar("encode", total) as advance:
        done = 0

        def on_row() -> None:
            nonlocal done
            done += 1
            advance(done, "")

        for kind in KINDS:
            mine = [job for job in todo if job.kind == kind]
            if mine:
                encoder = makers[kind](params, device)  # one kind's networks in memory at a time
                for job in mine:
                    work.do(job, encoder, on_row)
    num_rollouts = sum(len(job.rows) for job in todo if job.kind == "rollouts")
    if num_rollouts:
        record.forwards = {"teacher": num_rollouts * forwards_per_rollout(params)}


def forwards_per_rollout(params: Params) -> int:
    """Guidance takes two forwards a step."""
    return params.model.grid_steps * (1 if params.encode.rollouts.guidance_scale == 1.0 else 2)


def text_encoder(params: Params, device: str) -> Encoder:
    """Embeddings [L, D] at their real length. One text a call: an embedding depends on its own text alone."""
    from gpd.models import wan

    model = wan.TextEncoder(Path(params.model.path), device)

    def encode(rows: list[Row]) -> Iterator[Sample]:
        for row in rows:
            embedding = model.encode([row["text"]])[0]
            files = {
                "embedding.npy": _stored(embedding, params),
                "text.json": {"text": row["text"], "split": row["split"]},
            }
            yield row["id"], files

    return encode


def clip_encoder(params: Params, device: str) -> Encoder:
    """Normalised latents [C, F, H, W] of clips read by the rules of `gpd.data.clips`."""
    from gpd.data.clips import BrokenClipError
    from gpd.models import wan

    codec = wan.ClipCodec(Path(params.model.path), device)
    size = batch_size(codec.latent_shape(params.model.num_frames, params.model.height, params.model.width))

    def encode(rows: list[Row]) -> Iterator[Sample | Row]:
        for start in range(0, len(rows), size):
            good, frames = [], []
            for row in rows[start : start + size]:
                try:
                    frames.append(_load_frames(row, params))
                    good.append(row)
                except BrokenClipError as error:
                    yield {"file": row["file"], "reason": str(error)}
            if good:
                generators: Any = [_generator(row, params) for row in good]  # diffusers takes one for each clip
                latents = codec.encode(np.stack(frames), params.encode.posterior, generators)
                for row, latent in zip(good, latents, strict=True):
                    yield row["id"], {"latents.npy": _stored(latent, params), "text.json": {"id": row["text"]}}

    return encode


def batch_size(latent_shape: tuple[int, ...]) -> int:
    """How many clips go through a network at once; follows from their size alone, so that bytes do not vary."""
    return min(MAX_BATCH, max(1, BATCH_VALUES // math.prod(latent_shape)))


def _load_frames(row: Row, params: Params) -> np.ndarray:
    from gpd.data.clips import load_clip

    path = Path(params.prepare.source) / row["file"]
    if not path.is_file() or artifacts.hash_file(path) != row["sha256"]:
        state = "has changed" if path.is_file() else "is gone"
        raise UserError(f"{path}: {state} since {PROMPTS}/clips.jsonl was written; run `gpd prepare` again")
    return load_clip(
        path,
        frames_per_second=params.encode.frames_per_second,
        num_frames=params.model.num_frames,
        height=params.model.height,
        width=params.model.width,
    )


def _generator(row: Row, params: Params) -> "torch.Generator":
    """Of a sampled posterior: depends on seed and clip alone."""
    import torch

    return torch.Generator().manual_seed(int(artifacts.hash_json([params.encode.seed, row["id"]])[:15], 16))


def rollout_encoder(params: Params, device: str) -> Encoder:
    """Trajectories [N + 1, C, F, H, W] of the guided teacher; noise depends on seed and index alone."""
    from gpd.models import wan

    folder = Path(params.model.path)
    texts = wan.TextEncoder(folder, device)
    negative = texts.encode([params.model.negative_prompt])[0]
    network = wan.load_network(folder, merge_padding=params.model.merge_padding, dtype=params.model.dtype).to(device)
    shape = wan.ClipCodec(folder).latent_shape(params.model.num_frames, params.model.height, params.model.width)

    def encode(rows: list[Row]) -> Iterator[Sample]:
        size = batch_size(shape)
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            embeddings = [texts.encode([row["caption"]])[0] for row in batch]
            trajectories = _roll_out(network, batch, embeddings, negative, shape, params, device)
            for row, trajectory in zip(batch, trajectories, strict=True):
                yield row["id"], {"trajectory.npy": _stored(trajectory, params), "text.json": {"id": row["text"]}}

    return encode


def _roll_out(
    network: Any,
    rows: list[Row],
    embeddings: "list[Tensor]",
    negative: "Tensor",
    shape: tuple[int, ...],
    params: Params,
    device: str,
) -> "Tensor":
    """[B, N + 1, C, F, H, W]."""
    import torch

    from gpd.core.sampler import sample, seeded_noise
    from gpd.core.schedule import make_grid
    from gpd.core.velocity import stack_text

    noise = [seeded_noise(shape, seed=params.encode.seed, index=int(row["index"])) for row in rows]
    trajectory = sample(
        network,
        torch.stack(noise).to(device),
        stack_text(embeddings).to(device),
        make_grid(params.model.grid_steps, params.model.shift),
        negative=negative[None].to(device),
        guidance_scale=params.encode.rollouts.guidance_scale,
    )
    return torch.stack([latents.cpu() for latents in trajectory], 1)


def _stored(tensor: "Tensor", params: Params) -> Any:
    return tensor.float().numpy().astype(params.encode.latent_dtype)


def assemble(params: Params, work: Work, jobs: list[Job], inputs: dict[str, Identity]) -> Manifest[LatentsFacts] | None:
    """Moves the finished shards to data/latents/ with their manifest; None while some are missing.

    Raises:
        UserError: more clips are broken than params.encode.max_broken_share allows; the old folder stays.
    """
    done = [(job, result) for job in jobs if (result := work.result(job)) is not None]
    if len(done) < len(jobs):
        return None
    broken = [entry for _, result in done for entry in result["broken"]]
    check_broken_share(broken, sum(len(job.rows) for job in jobs if job.kind in ("clips", "evaluation")), params)
    index = {kind: [result["num_samples"] for job, result in done if job.kind == kind] for kind in KINDS}
    facts = LatentsFacts(
        num_texts=sum(index["text"]) - 1,  # without the negative prompt
        num_clips=sum(index["clips"]),
        num_evaluation_clips=sum(index["evaluation"]),
        num_rollouts=sum(index["rollouts"]),
        broken_clips=[BrokenClip.model_validate(entry) for entry in broken],
        index=index,
    )
    work.remove_leftovers({job.name for job in jobs})
    manifest = documents.write_manifest(work.shards, facts, inputs=inputs, params=content_settings(params))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    artifacts.move_into_place(work.shards, OUTPUT)
    work.remove()
    return manifest


def check_broken_share(broken: list[Row], num_clips: int, params: Params) -> None:
    """Raises a UserError that names the broken clips when they are too many."""
    limit = params.encode.max_broken_share
    if len(broken) <= limit * num_clips:
        return
    lines = [f"{entry['file']}: {entry['reason']}" for entry in broken[:MAX_SHOWN]]
    if len(broken) > MAX_SHOWN:
        lines.append(f"and {len(broken) - MAX_SHOWN} more")
    raise UserError(
        f"{params.prepare.source}: {len(broken)} of {num_clips} clips are broken, encode.max_broken_share={limit:g} "
        "allows fewer:\n  " + "\n  ".join(lines)
    )


def _device(part: int) -> str:
    import torch

    return f"cuda:{part % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu"


def _summary(work: Work, jobs: list[Job], manifest: Manifest[LatentsFacts] | None) -> str:
    if manifest is None:
        missing = [job.name for job in jobs if work.result(job) is None] if work.folder.exists() else []
        if not missing:
            return f"encode: done; another process has put {OUTPUT}/ together"
        return (
            f"encode: this process is done; {len(missing)} of {len(jobs)} shards are still to come ({missing[0]}, ..)"
        )
    facts = manifest.facts
    return (
        f"encode: {facts.num_texts} texts, {facts.num_clips} clips, {facts.num_evaluation_clips} held out, "
        f"{facts.num_rollouts} roll-outs, {len(facts.broken_clips)} broken clips -> {OUTPUT}/"
    )
