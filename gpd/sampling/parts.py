"""Makes the parts of a plan and puts the finished ones together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data.orphans import is_orphan
from gpd.data.shards import open_latents
from gpd.data.workers import one_thread, pick_device
from gpd.documents import Manifest, SamplesFacts
from gpd.models.families import open_model
from gpd.params import Params
from gpd.progress import progress_bar
from gpd.sampling.plan import LATENTS, SAMPLES, Part, Plan
from gpd.sampling.samples import LISTING, save_part
from gpd.sampling.subject import sample_batch
from gpd.sampling.subjects import load_subject


def unfinished(plan: Plan, share: slice = slice(None)) -> list[Part]:
    """The parts still to be made, of all or of a share."""
    return [part for part in plan.parts[share] if plan.work.result(part) is None]


def make_share(params: Params, plan: Plan, num_workers: int, worker: int) -> None:
    """Samples every `num_workers`-th part, from the `worker`-th on, into the folder of unfinished work."""
    todo = unfinished(plan, slice(worker, None, num_workers))
    if not todo:
        return
    latents = open_latents(LATENTS, params)
    negative, texts = torch.from_numpy(latents.negative()).float(), latents.texts()
    subject = load_subject(params, plan.subject, negative, pick_device(worker))
    model = params.model
    shape = open_model(model.path).geometry.latent_shape(model.num_frames, model.height, model.width)
    work, steps = plan.work, [point.step for point in plan.listing.points]
    work.shards.mkdir(parents=True, exist_ok=True)
    with one_thread(), progress_bar(f"sample {plan.subject}", len(plan.parts), is_shown=worker == 0) as advance:
        for part in todo:
            if is_orphan():
                return
            trajectory = sample_batch(subject, part.rows, texts, shape)
            check_finite(plan.subject, part, trajectory)
            kept = torch.stack([trajectory[step] for step in steps], 1)
            save_part(work.shards / part.name, kept.numpy())
            work.finish(part)
            advance(len(plan.parts) - len(unfinished(plan)), "parts")


def check_finite(name: str, part: Part, trajectory: Sequence[Tensor]) -> None:
    """Refuses a trajectory whose numbers went wrong; parts that were finished before are kept.

    Args:
        trajectory: at each point latents [B, C, F, H, W] of the part's rows.

    Raises:
        UserError: it names the first step at which a latent is not finite, and whose.
    """
    for step, latents in enumerate(trajectory):
        for row, sample in zip(part.rows, latents, strict=True):
            if not sample.isfinite().all():
                which = f"prompt {row.index}, seed {row.seed}"
                raise UserError(f"sample {name}: the latents of {which} are not finite at step {step}")


def assemble(plan: Plan) -> Manifest[SamplesFacts] | None:
    """Moves the finished parts to data/samples/NAME/ with their listing and manifest; None while some are missing."""
    work = plan.work
    with work.locked():
        if unfinished(plan):
            return None
        work.check(plan.parts)
        work.remove_leftovers({part.name for part in plan.parts})
        artifacts.write_json(work.shards / LISTING, plan.listing.model_dump(mode="json"))
        manifest = documents.write_manifest(work.shards, plan.facts, inputs=plan.inputs, params=plan.settings)
        SAMPLES.mkdir(parents=True, exist_ok=True)
        artifacts.move_into_place(work.shards, SAMPLES / plan.subject)
        work.remove()
        return manifest
