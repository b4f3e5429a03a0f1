"""Decodes samples and measures them beside the reference's, batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from gpd.artifacts import UserError
from gpd.core.schedule import make_grid
from gpd.data.shards import Latents
from gpd.data.workers import pick_device
from gpd.documents import Sample, SamplesFacts
from gpd.evaluation.decoding import KeptDecoder, open_decoder
from gpd.evaluation.difference import difference_map
from gpd.evaluation.measurers import Measurers
from gpd.evaluation.measures import (
    join,
    measure_batch,
    measure_clips,
    measures_for,
    score,
    score_several,
    score_unpaired,
)
from gpd.evaluation.metric import Batch, Rows
from gpd.evaluation.metrics.fidelity import trajectory_error
from gpd.evaluation.profiles import Profile, mean_profile
from gpd.evaluation.score import Score
from gpd.params import Params
from gpd.progress import progress_bar
from gpd.sampling.samples import SampleSet

Decode = Callable[[np.ndarray], np.ndarray]  # latents [B, C, f, h, w] -> frames [B, F, H, W, 3] uint8
Shown = list[tuple[Sample, np.ndarray]]  # a few samples with their clips, [F, H, W, 3] uint8


@dataclass(frozen=True)
class CurvePoint:
    """How far a subject is from the reference on the way, after so many forwards."""

    sigma: float
    forwards: int
    error: float


@dataclass(frozen=True)
class Result:
    """All that is kept of a subject."""

    facts: SamplesFacts
    scores: dict[str, Score]
    curve: list[CurvePoint]  # empty for the reference itself
    shown: Shown
    differences: Shown  # of the shown ones from the reference, as colours; empty for the reference itself
    profile: Profile


@dataclass(frozen=True)
class Decoded:
    """A batch: kept points of the trajectories [B, K, C, F, H, W] and the clips that they end in."""

    samples: list[Sample]
    latents: np.ndarray
    frames: np.ndarray  # [B, F, H, W, 3] uint8

    @property
    def alone(self) -> Batch:
        """What can be measured of it with nothing beside it."""
        return Batch(self.frames, self.latents[:, -1], [sample.text for sample in self.samples])

    def beside(self, other: "Decoded") -> Batch:
        """What can be measured of it beside the reference's samples on the same prompts and noise."""
        return replace(self.alone, reference_frames=other.frames, reference_latents=other.latents[:, -1])


class Bench:
    """The reference, the real clips and the VAE that subjects are measured with.

    Args:
        has_decoded: whether the subjects' clips, too, lie among those that are kept.
    """

    def __init__(self, params: Params, reference: SampleSet, latents: Latents, *, has_decoded: bool = False) -> None:
        self.params, self.reference = params, reference
        self.device = pick_device()
        kept = open_decoder(params, self.device)
        own = KeptDecoder(kept.codec, kept.identity)  # apart, so that `prune_kept` removes a subject's clips
        self.decode = own.decode if has_decoded else lambda ends: kept.codec.decode(torch.from_numpy(ends))
        self.decode_kept, self.prune_kept = kept.decode, kept.prune
        self.measures = measures_for([sample.text for sample in reference.samples])
        number = min(latents.num_evaluation_clips, len(reference.samples))
        self.clips = measure_real_clips(latents.evaluation_clip, number, kept.decode, params.evaluate.batch)

    def describe_reference(self) -> Result:
        """The figures of the reference alone: its distance to itself means nothing and is left out."""
        shown: Shown = []
        with self._measurers() as measurers:
            for batch in self._decode(self.reference, self.decode_kept):
                measurers.add(batch.alone)
                shown += self._pick_shown(batch, self.reference)
            (rows,) = measurers.results()
        scores = score(rows, self.reference.seeds, None, self.clips)
        return Result(self.reference.facts, scores, [], shown, [], self._profile(rows))

    def measure(self, subject: SampleSet) -> Result:
        """Scores a subject beside the reference, both decoded here."""
        errors: list[np.ndarray] = []
        shown: Shown = []
        differences: Shown = []
        pairs = zip(self._decode(subject, self.decode), self._decode(self.reference, self.decode_kept), strict=True)
        with self._measurers() as measurers:
            for mine, theirs in pairs:
                measurers.add(mine.beside(theirs), theirs.alone)
                errors.append(self._errors(subject, mine, theirs))
                here, there = self._pick_shown(mine, subject), self._pick_shown(theirs, self.reference)
                shown += here
                differences += [(row, difference_map(a, b)) for (row, a), (_, b) in zip(here, there, strict=True)]
            rows, others = measurers.results()
        scores = score(rows, self.reference.seeds, others, self.clips) | self._diversity(subject)
        curve = self._curve(subject, np.concatenate(errors))
        return Result(subject.facts, scores, curve, shown, differences, self._profile(rows))

    def score_clips(self, clips: Iterable[Batch], others: Rows | None) -> dict[str, Score]:
        """Real clips beside the reference's samples: what needs no pairs.

        Args:
            others: features of other real clips (`measure_clips`), from which the distances to real clips are taken.
        """
        own = join([measure_batch(batch, self.measures) for batch in clips])
        decoded = self._decode(self.reference, self.decode_kept)
        return score_unpaired(own, join([measure_batch(one.alone, self.measures) for one in decoded]), others)

    def _decode(self, subject: SampleSet, decode: Decode) -> Iterator[Decoded]:
        done, total = 0, len(subject.samples)
        with progress_bar(f"evaluate {subject.facts.subject}", total) as advance:
            for samples, latents in subject.batches(self.params.evaluate.batch):
                check_finite(subject, samples, latents)
                yield Decoded(samples, latents, decode(latents[:, -1]))
                done += len(samples)
                advance(done, "samples")

    def _measurers(self) -> Measurers:
        model = self.params.model
        return Measurers(self.measures, len(self.reference.samples) * model.num_frames * model.height * model.width)

    def _errors(self, subject: SampleSet, mine: Decoded, theirs: Decoded) -> np.ndarray:
        """Trajectory errors [B, K] at the points that the subject visits."""
        visited = {point.index: place for place, point in enumerate(self.reference.listing.points)}
        errors = [
            trajectory_error(mine.latents[:, place], theirs.latents[:, visited[point.index]])
            for place, point in enumerate(subject.listing.points)
        ]
        return np.stack(errors, 1)

    def _diversity(self, subject: SampleSet) -> dict[str, Score]:
        further, first = subject.listing.further, len(subject.samples)
        if further:
            check_finite(subject, further, subject.latents(range(first, first + len(further))))
        own, others = subject.diversity(), self.reference.diversity()
        if own is None or others is None:
            return {}
        mine, theirs = (measure_batch(Batch(several=several)) for several in (own, others))
        return score_several(mine, theirs, own.shape[0] * own.shape[1])

    def _curve(self, subject: SampleSet, errors: np.ndarray) -> list[CurvePoint]:
        model, facts = self.params.model, subject.facts
        sigmas, each = make_grid(model.grid_steps, model.shift).sigmas, facts.forwards // facts.steps
        return [
            CurvePoint(float(sigmas[point.index]), point.step * each, error)
            for point, error in zip(subject.listing.points, errors.mean(0).tolist(), strict=True)
        ]

    def _profile(self, rows: Rows) -> Profile:
        model = self.params.model
        return mean_profile(rows, (model.num_frames, model.height, model.width))

    def _pick_shown(self, batch: Decoded, subject: SampleSet) -> Shown:
        """Those of a batch that are kept as clips: of the first seed, spread over the prompts."""
        num_prompts, num_shown = self.params.sample.num_prompts, self.params.evaluate.num_shown_clips
        wanted = {number * num_prompts // num_shown for number in range(num_shown)}
        return [
            (sample, clip)
            for sample, clip in zip(batch.samples, batch.frames, strict=True)
            if sample.seed == subject.samples[0].seed and sample.index in wanted
        ]


def check_finite(subject: SampleSet, samples: list[Sample], latents: np.ndarray) -> None:
    """Refuses trajectories [B, ...] of `samples` with NaN or infinity in them: pictures of noise can score well.

    Raises:
        UserError: naming the folder and the first such sample.
    """
    for sample, trajectory in zip(samples, latents, strict=True):
        if not np.isfinite(trajectory).all():
            raise UserError(
                f"{subject.folder}: sample {sample.id} of seed {sample.seed} is not finite (NaN or infinity in its "
                f"latents): {subject.facts.subject} cannot be measured"
            )


def measure_real_clips(
    clip: Callable[[int], tuple[np.ndarray, str]], number: int, decode: Decode, batch: int
) -> Rows | None:
    """Features of so many real clips, as the VAE shows them; None of none.

    Args:
        clip: gives latents [C, F, H, W] and the id of the text, by number.
    """
    parts = []
    for start in range(0, number, batch):
        rows = np.stack([clip(index)[0] for index in range(start, min(start + batch, number))]).astype(np.float32)
        parts.append(measure_clips(decode(rows), rows))
    return join(parts) if parts else None
