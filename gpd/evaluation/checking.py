"""Which clips of two folders can be measured, found out before anything is: a look at each, and a limit on the bad."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from gpd.artifacts import UserError
from gpd.data.clips import BrokenClipError, WholeClip, load_whole_clip
from gpd.documents import BrokenClip
from gpd.evaluation.folders import Pairing, group_seeds
from gpd.progress import progress_bar

MIN_SIDE_PX = 16  # below it the optical flow has no scale to work on
MAX_BROKEN_SHARE = 0.05  # as in encode
MAX_SHOWN = 10  # broken clips named in an error

Shape = dict[str, float]


@dataclass(frozen=True)
class Checked:
    """Clips that can be measured, and those that are left out with the reason; of a pair both go."""

    pairing: Pairing
    broken: list[BrokenClip]


def check(pairing: Pairing, max_broken_share: float = MAX_BROKEN_SHARE) -> Checked:
    """Reads every clip once.

    Raises:
        UserError: more of them than `max_broken_share` cannot be measured, or none is left; it names them.
    """
    paths = list(dict.fromkeys([*pairing.clips, *pairing.reference]))
    reasons: dict[Path, str] = {}
    shapes: dict[Path, Shape] = {}
    with progress_bar("check", len(paths)) as advance:
        for number, path in enumerate(paths, 1):
            try:
                shapes[path] = shape_of(load_clip(path))
            except BrokenClipError as error:
                reasons[path] = str(error)
            advance(number, "clips")
    for one, other in neighbours(pairing, shapes):
        if (
            one not in reasons
            and other not in reasons
            and (reason := reason_against(shapes[one], other, shapes[other]))
        ):
            reasons[one] = reason
    refuse_many(reasons, len(paths), max_broken_share)
    broken = [BrokenClip(file=str(path), reason=reason) for path, reason in reasons.items()]
    return Checked(without(pairing, reasons), broken)


def load_clip(path: Path) -> WholeClip:
    """A clip that can be measured.

    Raises:
        BrokenClipError: it is broken, has fewer than two frames, or is smaller than the optical flow can use.
    """
    clip = load_whole_clip(path)
    height, width = clip.frames.shape[1:3]
    if min(height, width) < MIN_SIDE_PX:
        raise BrokenClipError(f"{width} x {height} px, needs at least {MIN_SIDE_PX} px a side")
    return clip


def shape_of(clip: WholeClip) -> Shape:
    """What two clips must share to be set against each other."""
    num_frames, height, width, _ = clip.frames.shape
    return {"frames": num_frames, "width": width, "height": height, "frames a second": clip.frames_per_second}


def neighbours(pairing: Pairing, shapes: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Clips that are set against each other, and so must be alike: pairs and seeds of a prompt; without pairs all."""
    if not pairing.is_paired:
        first = next(iter(shapes), None)
        return [(path, first) for path in [*pairing.clips, *pairing.reference] if first is not None]
    readable = set(shapes)
    groups = group_seeds([path for path in pairing.clips if path in readable])
    seeds = [(path, group[0]) for group in groups for path in group[1:]]
    return [*zip(pairing.clips, pairing.reference, strict=True), *seeds]


def reason_against(shape: Shape, other_path: Path, other: Shape) -> str | None:
    """The first difference. Flow is in pixels a frame, spectra in cycles a sample: other sizes give other figures."""
    for name, value in shape.items():
        if value != other[name]:
            return f"{name} {value:g}, but {other_path} has {other[name]:g}"
    return None


def refuse_many(reasons: dict[Path, str], num: int, max_broken_share: float) -> None:
    """Raises a UserError that names the clips if they are too many."""
    if len(reasons) <= max_broken_share * num and len(reasons) < num:
        return
    lines = [f"{path}: {reason}" for path, reason in reasons.items()]
    if len(lines) > MAX_SHOWN:
        lines = [*lines[:MAX_SHOWN], f"and {len(lines) - MAX_SHOWN} more"]
    raise UserError(
        f"compare: {len(reasons)} of {num} clips cannot be measured, --max-broken-share={max_broken_share:g} allows "
        "fewer:\n  " + "\n  ".join(lines)
    )


def without(pairing: Pairing, left_out: Iterable[Path]) -> Pairing:
    """The pairing without some clips, and without their partners."""
    gone = set(left_out)
    if pairing.is_paired:
        pairs = zip(pairing.clips, pairing.reference, strict=True)
        gone |= {path for pair in pairs if gone & set(pair) for path in pair}
    clips = [path for path in pairing.clips if path not in gone]
    reference = [path for path in pairing.reference if path not in gone]
    if not (clips and reference):
        raise UserError("compare: no clip is left that can be measured")
    return replace(pairing, clips=clips, reference=reference)
