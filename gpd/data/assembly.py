"""The folder data/latents/, put together when all its shards are finished."""

from pathlib import Path

from gpd import documents
from gpd.artifacts import UserError
from gpd.data.encoding import finished_shards
from gpd.data.jobs import Work
from gpd.data.plan import Job
from gpd.data.shards import KINDS
from gpd.documents import BrokenClip, Identity, LatentsFacts, Manifest
from gpd.params import Params
from gpd.stages import settings_of

OUTPUT = Path("data/latents")
MAX_SHOWN = 10  # broken clips named in the error


def assemble(params: Params, work: Work, jobs: list[Job], inputs: dict[str, Identity]) -> Manifest[LatentsFacts]:
    """Moves the finished shards to data/latents/ with their manifest.

    Raises:
        UserError: more clips are broken than params.encode.max_broken_share allows; the old folder stays.
    """
    facts = count(work, jobs)
    num_clips = sum(len(job.rows) for job in jobs if job.kind in ("clips", "evaluation"))
    check_broken_share(facts.broken_clips, num_clips, params)
    settings = settings_of("encode", params.model_dump())
    return work.publish(
        jobs, OUTPUT, lambda folder: documents.write_manifest(folder, facts, inputs=inputs, params=settings)
    )


def count(work: Work, jobs: list[Job]) -> LatentsFacts:
    """How much of each kind is in the finished shards."""
    done = list(zip(jobs, finished_shards(work, jobs), strict=True))
    index = {kind: [shard.num_samples for job, shard in done if job.kind == kind] for kind in KINDS}
    return LatentsFacts(
        num_texts=sum(index["text"]) - 1,  # without the negative prompt
        num_clips=sum(index["clips"]),
        num_evaluation_clips=sum(index["evaluation"]),
        num_rollouts=sum(index["rollouts"]),
        broken_clips=[clip for _, shard in done for clip in shard.broken],
        index=index,
    )


def check_broken_share(broken: list[BrokenClip], num_clips: int, params: Params) -> None:
    """Raises a UserError that names the broken clips if they are too many."""
    limit = params.encode.max_broken_share
    if len(broken) <= limit * num_clips:
        return
    lines = [f"{clip.file}: {clip.reason}" for clip in broken[:MAX_SHOWN]]
    if len(broken) > MAX_SHOWN:
        lines.append(f"and {len(broken) - MAX_SHOWN} more")
    raise UserError(
        f"{params.prepare.source}: {len(broken)} of {num_clips} clips are broken, encode.max_broken_share={limit:g} "
        "allows fewer:\n  " + "\n  ".join(lines)
    )


def summary(manifest: Manifest[LatentsFacts]) -> str:
    """What is in the finished folder, for a person."""
    facts = manifest.facts
    clips = f"{facts.num_clips} clips, {facts.num_evaluation_clips} held out"
    rest = f"{facts.num_rollouts} roll-outs, {len(facts.broken_clips)} broken clips"
    return f"{facts.num_texts} texts, {clips}, {rest} -> {OUTPUT}/"


def to_come(work: Work, jobs: list[Job]) -> str:
    """What other processes still have to do, for a person."""
    if not work.folder.exists():
        return f"done; another process has put {OUTPUT}/ together"
    missing = work.missing(jobs)
    return f"this process is done; {len(missing)} of {len(jobs)} shards are still to come ({missing[0].name}, ..)"
