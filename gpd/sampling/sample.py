"""DVC stage `sample@NAME`: trajectories of one subject, as latents at the noise levels that all subjects share.

Noise depends on seed and index alone, so that every subject starts where the reference starts. A part is one batch;
parts and their bytes follow from the inputs alone, so any number of processes can share them out. Finished parts wait
in .work/sample/NAME-FINGERPRINT/ until all are there, then the folder moves to data/samples/NAME/.
"""

import time
from functools import partial

from gpd import documents
from gpd.data.jobs import parse_part
from gpd.data.workers import companions, num_workers, pick_device
from gpd.documents import RunRecord
from gpd.params import Params
from gpd.sampling.parts import assemble, make_share, unfinished
from gpd.sampling.plan import SAMPLES, Plan, make_plan


def run(params: Params, name: str, shard: str | None = None) -> None:
    """Samples a key of sample.subjects into data/samples/NAME/; goes on where an earlier call was stopped.

    Args:
        shard: "i/n": only the parts of process i of n, for several machines. Without it as many processes are
            started as there are GPUs, or cores if there is none; the samples are the same.

    Raises:
        UserError: there is no such subject, or what it needs is missing or of other params.
    """
    worker, number = parse_part(shard) if shard else (0, num_workers())
    plan = make_plan(params, name)
    share = slice(worker, None, number) if shard else slice(None)
    todo = unfinished(plan, share)
    with documents.recording_run(f"sample@{name}", plan.settings) as record:
        started = time.monotonic()
        work = partial(make_share, params, plan, number)
        with companions(work, 1 if shard else min(number, len(todo))):
            work(worker)
        manifest = assemble(plan)
        if manifest is not None:
            record.wrote(SAMPLES / name, manifest)
        record.device = pick_device(worker)
        record.forwards = {"sampling": plan.facts.forwards * sum(len(part.rows) for part in todo)}
        num_devices = 1 if shard or record.device == "cpu" else number
        record.device_seconds = (time.monotonic() - started) * num_devices
    print(summary(plan, record))


def summary(plan: Plan, record: RunRecord) -> str:
    """One line for a person."""
    facts = plan.facts
    made = f"{facts.subject}: {facts.steps} {facts.solver} steps at guidance {facts.guidance_scale:g}"
    if missing := [] if record.outputs else unfinished(plan):
        return f"sample {made}; {len(missing)} of {len(plan.parts)} parts are still to come ({missing[0].name}, ..)"
    return f"sample {made}; {facts.num_samples} samples and {facts.num_further} further -> {SAMPLES}/{plan.subject}/"
