"""VBench's prompts, and which clips of them are made under which name from which seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd.artifacts import UserError
from gpd.documents.reading import parse_json
from gpd.vbench.total import DIMENSIONS

NUM_VIDEOS = 5  # of each prompt
NUM_FLICKER_VIDEOS = 25  # of a temporal_flickering prompt: VBench's static filter then keeps 5
FLICKER = "temporal_flickering"
SEED_STRIDE = 100_000


@dataclass(frozen=True)
class Prompt:
    """An entry of VBench's full-info file.

    Attributes:
        index: its place in the whole file, from 0, whatever subset is taken.
        entry: the entry as it stands there, with what single dimensions need.
    """

    index: int
    text: str
    dimensions: tuple[str, ...]
    entry: dict[str, Any]


@dataclass(frozen=True)
class Clip:
    """One video to make: the `video`-th of a prompt."""

    prompt: Prompt
    video: int

    @property
    def file(self) -> str:
        """VBench's name for it."""
        return clip_file(self.prompt.text, self.video)

    @property
    def seed(self) -> int:
        """100000 * prompt + video: the rule of VBench's entry for Wan2.1 (github.com/Vchitect/VBench/issues/163)."""
        return SEED_STRIDE * self.prompt.index + self.video


def clip_file(text: str, video: int) -> str:
    """File name of a prompt's `video`-th clip."""
    return f"{text}-{video}.mp4"


def load_suite(path: Path) -> list[Prompt]:
    """The prompts of a VBench full-info file.

    Raises:
        UserError: it is missing, not of VBench's form, or a prompt cannot be the name of a file.
    """
    try:
        entries = parse_json(path.read_text(encoding="utf-8"))
        prompts = [
            Prompt(index, entry["prompt_en"], tuple(entry["dimension"]), entry) for index, entry in enumerate(entries)
        ]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it is the VBench_full_info.json that VBench publishes") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not VBench's full info: a list with 'prompt_en' and 'dimension' ({error})") from None
    for prompt in prompts:
        if not prompt.text or "/" in prompt.text or len(clip_file(prompt.text, 0).encode()) > 250:
            raise UserError(f"{path}: prompt {prompt.index} cannot be a file's name: {prompt.text!r}")
        if unknown := sorted(set(prompt.dimensions) - set(DIMENSIONS)):
            raise UserError(f"{path}: prompt {prompt.index} has an unknown dimension {unknown[0]!r}")
    return prompts


def choose_prompts(prompts: list[Prompt], dimensions: list[str], num_prompts: int | None) -> list[Prompt]:
    """The prompts of the dimensions, in the file's order; at most the first `num_prompts` of each dimension.

    Raises:
        UserError: there is no such dimension, or no prompt of it.
    """
    chosen: set[int] = set()
    for name in dimensions:
        if name not in DIMENSIONS:
            raise UserError(f"--dimension={name}: VBench has no such dimension; it has {', '.join(DIMENSIONS)}")
        of_dimension = [prompt.index for prompt in prompts if name in prompt.dimensions]
        if not of_dimension:
            raise UserError(f"--dimension={name}: the full-info file has no prompt of it")
        chosen |= set(of_dimension[:num_prompts])
    return [prompt for prompt in prompts if prompt.index in chosen]


def plan_clips(prompts: list[Prompt], static_filter: bool) -> list[Clip]:
    """The clips to make, each file once: a prompt that stands twice in the file is made from its first place's seed.

    Args:
        static_filter: 25 of each temporal_flickering prompt instead of 5.
    """
    clips: dict[str, Clip] = {}
    for prompt in prompts:
        number = NUM_FLICKER_VIDEOS if static_filter and FLICKER in prompt.dimensions else NUM_VIDEOS
        for clip in (Clip(prompt, video) for video in range(number)):
            clips.setdefault(clip.file, clip)
    return list(clips.values())


def missing_clips(clips: list[Clip], folder: Path) -> list[Clip]:
    """Those that do not lie in `folder` yet."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return [clip for clip in clips if clip.file not in there]


def check_clips(clips: list[Clip], folder: Path) -> None:
    """Every clip must be there.

    Raises:
        UserError: naming the first that is not.
    """
    if missing := missing_clips(clips, folder):
        raise UserError(f"{folder}: {len(missing)} of {len(clips)} clips are missing; the first: {missing[0].file}")
