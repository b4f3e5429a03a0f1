"""Does jobs of `encode`: makes what goes into each shard, and writes it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from gpd.data.encoders import EncodeClips, Encoder, EncodeRollouts, EncodeTexts, forwards_per_rollout
from gpd.data.jobs import Work
from gpd.data.orphans import is_orphan
from gpd.data.plan import Job
from gpd.data.shards import Entry, write_shard
from gpd.data.workers import pick_device
from gpd.documents import BrokenClip, Document
from gpd.params import Params
from gpd.progress import progress_bar

ENCODERS: dict[str, type[Encoder[Any]]] = {  # by kind of shard, in the order in which they are made
    "text": EncodeTexts,
    "clips": EncodeClips,
    "evaluation": EncodeClips,
    "rollouts": EncodeRollouts,
}


class Finished(Document):
    """What is noted of a finished shard."""

    size: int  # bytes
    sha256: str
    num_samples: int
    broken: list[BrokenClip]


def encode_share(params: Params, work: Work, jobs: list[Job], number: int, first: int, worker: int) -> None:
    """Makes every `number`-th shard, from the `worker`-th on, with the networks of one kind in memory at a time.

    Args:
        first: the device of worker 0; the others take those after it.
    """
    share = jobs[worker::number]
    done, total, device = 0, sum(len(job.rows) for job in share), pick_device(first + worker)
    noted: Future[None] | None = None
    with progress_bar("encode", total, is_shown=worker == 0) as advance, ThreadPoolExecutor(1) as beside:

        def on_row() -> None:
            nonlocal done
            done += 1
            advance(done, "")

        for kind, make_encoder in ENCODERS.items():
            mine = [job for job in share if job.kind == kind]
            if mine and not is_orphan():
                encoder = make_encoder(params, device, [row for job in mine for row in job.rows])
                for job in mine:
                    facts = write_job(work, job, encoder, on_row)
                    if noted:
                        noted.result()
                    noted = beside.submit(work.finish, job, **facts)  # hashes the file while the next is computed
                del encoder  # before the next kind's networks come
    if noted:
        noted.result()


def forwards_of(params: Params, jobs: list[Job]) -> dict[str, int]:
    """What jobs take, by role."""
    num_rollouts = sum(len(job.rows) for job in jobs if job.kind == "rollouts")
    return {"teacher": num_rollouts * forwards_per_rollout(params)} if num_rollouts else {}


def write_job(work: Work, job: Job, encoder: Encoder[Any], on_row: Callable[[], None]) -> dict[str, Any]:
    """Writes a job's shard; returns what is to be noted of it: how many samples it has and which clips it lacks."""
    work.shards.mkdir(parents=True, exist_ok=True)
    broken: list[BrokenClip] = []
    ids = {row.id for row in job.rows}

    def samples() -> Iterator[Entry]:
        for made in encoder.encode(job.rows):
            if isinstance(made, BrokenClip):
                broken.append(made)
            else:
                yield made
            if isinstance(made, BrokenClip) or made[0] in ids:  # further windows of a clip are no rows of their own
                on_row()

    num_samples = write_shard(work.shards / job.name, samples())
    return {"num_samples": num_samples, "broken": [clip.model_dump() for clip in broken]}


def finished_shards(work: Work, jobs: list[Job]) -> list[Finished]:
    """What is noted of each job, all of which are done."""
    return [Finished.model_validate(work.result(job)) for job in jobs]
