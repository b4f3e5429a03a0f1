"""`gpd floors`: what metrics read where nothing was trained, so that a student's figures have something beside them.

itself       the reference against its own samples: the best that a paired metric can read
other noise  the reference on the same prompts from other seeds: two draws of one model, which no student need be nearer
real clips   held-out clips against the reference's: how far the model that is distilled is from its data

They depend on the base model and the protocol alone, so they are measured once for all students; it takes as many
forwards as the reference. The file is for git: a report shows it if it is of the report's protocol.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gpd import documents
from gpd.artifacts import UserError
from gpd.data.rows import CLIP_ROWS, PROMPTS, Clip, load_rows
from gpd.data.shards import Latents, open_latents
from gpd.documents import Floor, Floors, Score
from gpd.evaluation.decoding import decode_beforehand
from gpd.evaluation.measuring import Bench, Decode, measure_real_clips
from gpd.evaluation.metric import Batch
from gpd.evaluation.outputs import describe_scores
from gpd.evaluation.protocol import FLOORS, make_protocol
from gpd.params import REFERENCE, Params
from gpd.sampling import sample
from gpd.sampling.plan import LATENTS, open_samples
from gpd.sampling.samples import SampleSet

OTHER_NOISE = "other-noise"  # in data/samples/


def run(params: Params) -> Path:
    """Writes data/evaluations/floors.json and returns its path.

    Raises:
        UserError: the reference's samples or the latents are missing or of other params.
    """
    reference, latents = open_samples(params, REFERENCE), open_latents(LATENTS, params)
    other = draw_again(params)
    has_decoded = decode_beforehand(params, reference, other)
    bench = Bench(params, reference, latents, has_decoded=has_decoded)
    num_clips = min(latents.num_evaluation_clips, len(reference.samples))
    scores: dict[Floor, dict[str, Score]] = {
        "itself": describe_scores(bench.measure(reference).scores),
        "other noise": describe_scores(bench.measure(other).scores),
    }
    if num_clips:
        held_out = _held_out_clips(latents, bench.decode_kept, params.evaluate.batch, num_clips)
        others = min(num_clips, latents.num_clips)  # training clips, for what is a distance to real clips
        training = measure_real_clips(latents.clip, others, bench.decode_kept, params.evaluate.batch)
        scores["real clips"] = describe_scores(bench.score_clips(held_out, training))
    seeds = sorted({row.seed for row in other.samples})
    floors = Floors(protocol=make_protocol(params).hash, other_seeds=seeds, num_clips=num_clips, scores=scores)
    documents.write_document(FLOORS, floors)
    print(f"floors: {', '.join(scores)} -> {FLOORS}")
    return FLOORS


def draw_again(params: Params) -> SampleSet:
    """The reference's samples from other noise: those in data/samples/other-noise/ if they are of these params."""
    others = with_other_noise(params)
    with contextlib.suppress(UserError):
        return open_samples(others, OTHER_NOISE)
    sample.run(others, OTHER_NOISE)
    return open_samples(others, OTHER_NOISE)


def with_other_noise(params: Params) -> Params:
    """With the reference as a further subject, and seeds none of which any sample of these params has."""
    asked = params.sample
    used = {*asked.seeds, *range(asked.seeds[0], asked.seeds[0] + asked.diversity_seeds)}
    beyond = max(used) + 1 - min(asked.seeds)
    changes = {
        "seeds": [seed + beyond for seed in asked.seeds],
        "subjects": {**asked.subjects, OTHER_NOISE: asked.reference},
    }
    return params.model_copy(update={"sample": asked.model_copy(update=changes)})


def _held_out_clips(latents: Latents, decode: Decode, batch: int, number: int) -> Iterator[Batch]:
    captions = {clip.text: clip.caption for clip in load_rows(PROMPTS / CLIP_ROWS, Clip)}
    for start in range(0, number, batch):
        pairs = [latents.evaluation_clip(index) for index in range(start, min(start + batch, number))]
        rows = np.stack([array for array, _ in pairs]).astype(np.float32)
        yield Batch(decode(rows), rows, [captions[text] for _, text in pairs])
