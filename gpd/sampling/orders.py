"""Which clips `gpd generate` shall make: of which prompts and seeds, and under which names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpd import documents
from gpd.artifacts import UserError
from gpd.data.lines import Line, read_rows, read_text_lines
from gpd.data.texts import check_texts
from gpd.documents import MadeClip

MAX_SEED = 2**31
SLUG_CHARACTERS = 40
CLIP, FOLDER = Path("clip.mp4"), Path("clips")  # where one clip goes, and several
MAX_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Order:
    """One clip to make."""

    prompt: str
    seed: int
    path: Path

    @property
    def note(self) -> Path:
        """The JSON beside it that says how it was made."""
        return self.path.with_suffix(".json")


def read_prompts(given: Sequence[str], file: Path | None) -> list[str]:
    """The prompts of the command line, then those of a file: text, one a line, or .jsonl with {"text": ..} a line.

    Raises:
        UserError: there is none; or one is empty, too long or there twice.
    """
    lines: list[Line] = [("--prompt", prompt.strip()) for prompt in given]
    if file is not None:
        lines += _read_file(file)
    if not lines:
        missing = "give --prompt TEXT, which may be repeated, or --prompts FILE"
        raise UserError(missing if file is None else f"{file}: holds no prompt")
    check_texts(lines)
    return [text for _, text in lines]


def _read_file(path: Path) -> list[Line]:
    if not path.is_file():
        raise UserError(f"--prompts={path}: no such file")
    if path.suffix.lower() != ".jsonl":
        return [(where, text) for where, text in read_text_lines(path) if text]
    rows = read_rows(path, required=("text",), optional=("id", "split"))
    return [(where, row["text"].strip()) for where, row in rows]


def parse_seeds(words: str) -> list[int]:
    """ "0,1,2" -> [0, 1, 2].

    Raises:
        UserError: it is no list of different numbers from 0 to 2^31 - 1.
    """
    parts = [word.strip() for word in words.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) < MAX_SEED for part in parts):
        raise UserError(f"--seeds={words}: expected numbers from 0 to {MAX_SEED - 1} with commas, such as 0,1,2")
    seeds = [int(part) for part in parts]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds={words}: a number stands twice")
    return seeds


def plan(prompts: Sequence[str], seeds: Sequence[int], out: Path | None) -> list[Order]:
    """A clip for each prompt and seed. One may be a file, several go into a folder, under names that sort.

    `gpd compare` pairs two such folders, and takes NAME-seed0 and NAME-seed1 for seeds of one prompt.

    Raises:
        UserError: `out` is no mp4 and no folder, or one file for several clips.
    """
    num = len(prompts) * len(seeds)
    out = (CLIP if num == 1 else FOLDER) if out is None else out
    if out.suffix == ".mp4" and not out.is_dir():
        if num > 1:
            raise UserError(f"--out={out}: {num} clips go into a folder, not into one file")
        return [Order(prompts[0], seeds[0], out)]
    if out.is_file() or (out.suffix[1:].isalpha() and not out.is_dir()):
        raise UserError(f"--out={out}: must be a file that ends in .mp4, or a folder")
    digits, seed_digits = len(str(len(prompts) - 1)), len(str(max(seeds)))
    return [
        Order(prompt, seed, out / f"{index:0{digits}d}-{slug(prompt)}-seed{seed:0{seed_digits}d}.mp4")
        for index, prompt in enumerate(prompts)
        for seed in seeds
    ]


def slug(prompt: str) -> str:
    """The first words of a prompt as part of a file's name; "clip" for one without letters and digits."""
    words = re.sub(r"[^\w]+", "-", prompt.lower()).strip("-_")
    cut = words[:SLUG_CHARACTERS]
    return (cut if len(words) == len(cut) else cut.rpartition("-")[0] or cut) or "clip"


def still_to_make(orders: Sequence[Order], made: MadeClip, *, force: bool) -> list[Order]:
    """Those that are not there yet. A clip whose JSON says that it was made just so is kept.

    Args:
        made: how they will be made, but for prompt and seed.
        force: make all, and replace what is there.

    Raises:
        UserError: a file of the name is there that is something else.
    """
    if force:
        return list(orders)
    todo = [order for order in orders if not _is_there(order, made)]
    if occupied := [path for order in todo for path in (order.path, order.note) if path.exists()]:
        names = ", ".join(str(path) for path in occupied[:MAX_SHOWN])
        more = f" and {len(occupied) - MAX_SHOWN} more" if len(occupied) > MAX_SHOWN else ""
        raise UserError(f"{names}{more}: already there, made otherwise; --force replaces, --out writes elsewhere")
    return todo


def _is_there(order: Order, made: MadeClip) -> bool:
    if not (order.path.is_file() and order.note.is_file()):
        return False
    try:
        return documents.load_document(MadeClip, order.note, "") == note_of(order, made)
    except UserError:
        return False


def note_of(order: Order, made: MadeClip) -> MadeClip:
    """What is written beside a clip."""
    return made.model_copy(update={"prompt": order.prompt, "seed": order.seed})
