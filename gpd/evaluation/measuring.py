"""Samples subjects on the reference's prompts and noise and measures them, batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gpd.core.schedule import make_grid
from gpd.data.shards import Latents
from gpd.evaluation.difference import difference_map
from gpd.evaluation.metrics.fidelity import trajectory_error
from gpd.evaluation.metrics.measures import Measures, join, measure, measure_pairs, score, score_diversity
from gpd.evaluation.metrics.score import Score
from gpd.evaluation.profiles import Profile, mean_profile, measure_profiles
from gpd.models import wan
from gpd.params import Params
from gpd.progress import progress_bar
from gpd.sampling.reference_set import ReferenceSet, Sample
from gpd.sampling.subject import Subject, pick_device, sample_batch, sample_ends
from gpd.tiny import oracle

SAME_SIGMA = 1e-6

Shown = list[tuple[Sample, np.ndarray]]  # a few samples with their clips, [F, H, W, 3] uint8


@dataclass(frozen=True)
class Result:
    """All that is kept of a subject."""

    subject: Subject
    scores: dict[str, Score]
    curve: dict[int, float]  # step of the subject's grid -> trajectory error there
    shown: Shown
    differences: Shown  # of the shown ones from the reference, as colours; empty for the reference itself
    profile: Profile


class Bench:
    """The reference, the prompts and the VAE that subjects are measured with."""

    def __init__(self, params: Params, reference: ReferenceSet, latents: Latents) -> None:
        self.params, self.reference = params, reference
        self.texts = latents.texts("evaluation")
        self.codec = wan.ClipCodec(Path(params.model.path), pick_device())
        model = params.model
        self.shape = self.codec.latent_shape(model.num_frames, model.height, model.width)
        self.base_sigmas = make_grid(model.grid_steps, model.shift).sigmas
        self.is_readable = oracle.is_readable([sample.text for sample in reference.samples])
        self.several = diversity_samples(params, reference.samples)
        self.num_forwards = 0

    def describe_reference(self, teacher: Subject) -> Result:
        """What can be said of the reference alone: its distance to itself says nothing and is left out."""
        scores = score(self.reference.measures, self.reference.seeds, None, self.reference.clips)
        shown: Shown = []
        rows: list[Measures] = []
        for part in self.reference.parts(self.params.evaluate.batch):
            shown += self._pick_shown(part.samples, part.frames)
            rows.append(measure_profiles(part.frames))
        return Result(teacher, scores, {}, shown, [], self._profile(join(rows)))

    def _profile(self, rows: Measures) -> Profile:
        model = self.params.model
        return mean_profile(rows, (model.num_frames, model.height, model.width))

    def _pick_shown(self, samples: list[Sample], frames: np.ndarray) -> Shown:
        """Those of a batch that are kept as clips: of the first seed, spread over the prompts."""
        num_prompts, num_shown = self.params.reference.num_prompts, self.params.evaluate.num_shown_clips
        wanted = {number * num_prompts // num_shown for number in range(num_shown)}
        first_seed = self.params.reference.seeds[0]
        return [
            (sample, clip)
            for sample, clip in zip(samples, frames, strict=True)
            if sample.seed == first_seed and sample.index in wanted
        ]

    def measure(self, subject: Subject) -> Result:
        """Samples, decodes and scores one subject."""
        num_samples = len(self.reference.samples)
        self.num_forwards += subject.forwards * (num_samples + len(self.several))
        with progress_bar(f"evaluate {subject.name}", num_samples + len(self.several)) as advance:
            measures, shown, differences = self._measure_samples(subject, lambda done: advance(done, "samples"))
            scores = score(measures, self.reference.seeds, self.reference.measures, self.reference.clips)
            diversity = self._measure_diversity(subject, lambda done: advance(num_samples + done, "samples"))
        if diversity is not None:
            scores["diversity_ratio"] = diversity
        steps = [own for own, _ in self._shared_points(subject)]
        curve = dict(zip(steps, measures["curve"].mean(0).tolist(), strict=True))
        return Result(subject, scores, curve, shown, differences, self._profile(measures))

    def _measure_samples(self, subject: Subject, on_done: Callable[[int], None]) -> tuple[Measures, Shown, Shown]:
        rows: list[Measures] = []
        shown: Shown = []
        differences: Shown = []
        num_done = 0
        for part in self.reference.parts(self.params.evaluate.batch):
            trajectory = sample_batch(subject, part.samples, self.texts, self.shape)
            frames, ends = self.codec.decode(trajectory[-1]), trajectory[-1].numpy()
            measures = measure_samples(frames, ends, part.samples, self.is_readable)
            measures |= measure_pairs(frames, ends, part.frames, part.latents[:, -1]) | measure_profiles(frames)
            errors = [
                trajectory_error(trajectory[own].numpy(), part.latents[:, kept])
                for own, kept in self._shared_points(subject)
            ]
            rows.append(measures | {"curve": np.stack(errors, 1)})
            here = self._pick_shown(part.samples, frames)
            theirs = self._pick_shown(part.samples, part.frames)
            shown += here
            differences += [(row, difference_map(a, b)) for (row, a), (_, b) in zip(here, theirs, strict=True)]
            num_done += len(part.samples)
            on_done(num_done)
        return join(rows), shown, differences

    def _shared_points(self, subject: Subject) -> list[tuple[int, int]]:
        """(index on the subject's grid, index among the reference's points) of each noise level that both visit."""
        return [
            (int(own), kept)
            for kept, point in enumerate(self.reference.points)
            for own in torch.nonzero((subject.grid.sigmas - self.base_sigmas[point]).abs() < SAME_SIGMA)
        ]

    def _measure_diversity(self, subject: Subject, on_done: Callable[[int], None]) -> Score | None:
        if self.reference.diversity is None:
            return None
        batch = self.params.evaluate.batch
        ends = sample_ends(subject, self.several, self.texts, self.shape, batch, on_done)
        return score_diversity(ends.reshape(self.reference.diversity.shape), self.reference.diversity)


def measure_samples(frames: np.ndarray, latents: np.ndarray, samples: list[Sample], is_readable: bool) -> Measures:
    """Measures of a batch; agreement with the captions too, where all of the prompts can be judged."""
    measures = measure(frames, latents)
    if is_readable:
        agreements = oracle.agreement(frames, [sample.text for sample in samples])
        measures |= {f"agreement_{name}": right for name, right in agreements.items()}
    return measures


def diversity_samples(params: Params, samples: list[Sample]) -> list[Sample]:
    """Several seeds of each of the first prompts, prompt by prompt; none where params ask for none."""
    seeds = range(params.reference.seeds[0], params.reference.seeds[0] + params.evaluate.diversity_seeds)
    prompts = samples[: min(params.evaluate.diversity_prompts, params.reference.num_prompts)]
    return [Sample(prompt.id, prompt.text, seed, prompt.index) for prompt in prompts for seed in seeds]
