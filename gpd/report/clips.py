"""The report's clips in step: the reference, students, the undistilled teacher; how far each is from the reference."""

from dataclasses import dataclass

from gpd.report.outcome import Clip, Outcome


@dataclass(frozen=True)
class Shown:
    """A subject's clip and its difference from the reference; either is None if it was not kept."""

    name: str
    clip: Clip | None
    difference: Clip | None


@dataclass(frozen=True)
class Card:
    """A prompt's clips: students in the order of training, and the undistilled teacher in as many steps, if any."""

    prompt: str
    reference: Clip
    students: list[Shown]
    baselines: list[Shown | None]


def make_cards(outcome: Outcome, num_prompts: int) -> list[Card]:
    """One card a prompt, evenly spread over those that have clips; none if no clips were kept."""
    shown = [clip for clip in outcome.clips if clip.subject == outcome.reference]
    number = min(num_prompts, len(shown))
    return [_card(outcome, shown[position * len(shown) // number]) for position in range(number)]


def _card(outcome: Outcome, sample: Clip) -> Card:
    clips, differences = (_of_sample(found, sample) for found in (outcome.clips, outcome.differences))

    def shown(name: str) -> Shown:
        return Shown(name, clips.get(name), differences.get(name))

    return Card(
        prompt=sample.prompt,
        reference=sample,
        students=[shown(name) for name in outcome.line_up],
        baselines=[None if name is None else shown(name) for name in outcome.line_up.values()],
    )


def _of_sample(clips: list[Clip], sample: Clip) -> dict[str, Clip]:
    return {clip.subject: clip for clip in clips if (clip.prompt, clip.seed) == (sample.prompt, sample.seed)}
