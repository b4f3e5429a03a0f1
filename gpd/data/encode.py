"""DVC stage `encode`: text embeddings, clip latents and teacher roll-outs as shards.

A job is one shard. Finished ones wait in .work/encode/FINGERPRINT/ until all are there, then move to data/latents/.
"""

import time
from functools import partial
from pathlib import Path

from gpd import documents
from gpd.data.assembly import OUTPUT, assemble, summary, to_come
from gpd.data.encoding import encode_share, forwards_of
from gpd.data.jobs import Work, parse_part
from gpd.data.plan import plan
from gpd.data.rows import PROMPTS
from gpd.data.workers import companions, num_workers, pick_device
from gpd.models.families import open_model
from gpd.params import Params
from gpd.stages import settings_of, work_folder


def run(params: Params, shard: str | None = None) -> None:
    """Writes this machine's shards and, when all shards are there, data/latents/.

    Args:
        shard: "i/n": only the shards of process i of n, for several machines. Without it as many processes are started
            as there are GPUs, or one if there is none: a text encoder of 11 GB lies in memory once.

    Raises:
        UserError: inputs are missing or changed, the model makes no clips of these sizes, or too many clips are broken.
    """
    worker, number = parse_part(shard) if shard else (0, num_workers(without_gpu=1))
    model = params.model
    open_model(model.path).geometry.check(model.num_frames, model.height, model.width)
    inputs = {"base": documents.identify(Path(model.path)), "prompts": documents.identify(PROMPTS)}
    settings, jobs = settings_of("encode", params.model_dump()), plan(params)
    work = Work(work_folder("encode", settings, inputs))
    with documents.recording_run("encode", settings) as record:
        record.device, started = pick_device(worker), time.monotonic()
        todo = work.missing(jobs[worker::number] if shard else jobs)
        processes = 1 if shard else max(1, min(number, len(todo)))
        share = partial(encode_share, params, work, todo, processes, worker)
        with companions(share, processes):
            share(0)
        record.forwards = forwards_of(params, todo)
        record.device_seconds = (time.monotonic() - started) * (1 if record.device == "cpu" else processes)
        with work.locked():
            manifest = None if work.missing(jobs) else assemble(params, work, jobs, inputs)
        if manifest is not None:
            record.wrote(OUTPUT, manifest)
    print(f"encode: {summary(manifest) if manifest is not None else to_come(work, jobs)}")
