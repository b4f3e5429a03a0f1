"""The report's clips: reference, rival and lead in step, and below them how far each is from the reference."""

from gpd.evaluation.difference import scale_colours
from gpd.pages.html import element, escape, paragraph, players, section, video
from gpd.report.outcome import Clip, Outcome

Found = dict[tuple[str, str, int], Clip]


def make_clips(outcome: Outcome, num_prompts: int) -> str:
    """One card a prompt, all of their players in step; empty where no clips were kept."""
    shown = [clip for clip in outcome.clips if clip.subject == outcome.reference]
    number = min(num_prompts, len(shown))
    if not number:
        return ""
    clips, differences = (_by_sample(kind) for kind in (outcome.clips, outcome.differences))
    first = [shown[position * len(shown) // number] for position in range(number)]
    cards = [_card(outcome, clip, clips, differences) for clip in first]
    return section(
        "Clips side by side",
        paragraph(
            "Each row starts from the same noise. Below it: how far each pixel is from the reference's, mean over the "
            f"channels; black is equal, the brightest colour {outcome.difference_full_levels} of 255 levels or more, "
            "the same for all clips.",
            "soft",
        ),
        paragraph(
            "All run in step. A click or the space bar stops and starts them, the arrow keys go frame by frame.", "soft"
        ),
        players(
            element("div", *cards, class_="clips"),
            num_frames=outcome.protocol["num_frames"],
            frames_per_second=outcome.frames_per_second,
        ),
    )


def _by_sample(clips: list[Clip]) -> Found:
    return {(clip.subject, clip.prompt, clip.seed): clip for clip in clips}


def _card(outcome: Outcome, shown: Clip, clips: Found, differences: Found) -> str:
    keys = [(name, shown.prompt, shown.seed) for name in outcome.line_up]
    above = [_player(outcome, key[0], clips.get(key)) for key in keys]
    below = [_scale(outcome.difference_full_levels), *(_difference(differences.get(key)) for key in keys[1:])]
    rows = [element("div", *cells, class_="row") for cells in (above, below)]
    return element("div", element("h3", escape(f"“{shown.prompt}”")), *rows)


def _player(outcome: Outcome, name: str, clip: Clip | None) -> str:
    player = "" if clip is None else video(clip.path, f"{name}: {clip.prompt}")
    words = f"{outcome.subjects[name]['forwards']} forwards"
    return element("div", player, element("strong", escape(name)), element("small", words))


def _difference(clip: Clip | None) -> str:
    if clip is None:
        return element("div")
    return element("div", video(clip.path, f"{clip.subject}, difference from the reference: {clip.prompt}"))


def _scale(full_levels: int) -> str:
    """The colours of a difference, from equal to full."""
    ramp = f"background: linear-gradient(to right, {', '.join(scale_colours(9))})"
    ends = element("div", element("span", "0"), element("span", f"{full_levels}+"))
    return element("div", element("small", "difference"), element("i", style=ramp), ends, class_="scale")
