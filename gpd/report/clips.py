"""The report's clips: reference, baseline and lead in step, and below them how far each is from the reference."""

from dataclasses import dataclass

from gpd.report.outcome import Clip, Outcome


@dataclass(frozen=True)
class Card:
    """A prompt's clips and their differences from the reference by subject, in the line-up's order; None if missing."""

    prompt: str
    clips: dict[str, Clip | None]
    differences: dict[str, Clip | None]


def make_cards(outcome: Outcome, num_prompts: int) -> list[Card]:
    """One card a prompt, evenly spread over those that have clips; none if no clips were kept."""
    shown = [clip for clip in outcome.clips if clip.subject == outcome.reference]
    number = min(num_prompts, len(shown))
    return [_card(outcome, shown[position * len(shown) // number]) for position in range(number)]


def _card(outcome: Outcome, shown: Clip) -> Card:
    reference, *others = outcome.line_up
    clips, differences = (_of_sample(found, shown) for found in (outcome.clips, outcome.differences))
    return Card(
        prompt=shown.prompt,
        clips={name: clips.get(name) for name in (reference, *others)},
        differences={name: differences.get(name) for name in others},
    )


def _of_sample(clips: list[Clip], sample: Clip) -> dict[str, Clip]:
    return {clip.subject: clip for clip in clips if (clip.prompt, clip.seed) == (sample.prompt, sample.seed)}
