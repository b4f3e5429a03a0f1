"""Which prompts are held out for evaluation."""

import hashlib
from pathlib import Path

from gpd.artifacts import UserError
from gpd.data.lines import Line, read_text_lines, refuse, shorten
from gpd.data.texts import check_texts
from gpd.params import Prepare


def read_held_out(path: Path, training: list[Line], num: int) -> list[str]:
    """The first `num` prompts of an evaluation file, none of which may be trained on.

    Raises:
        UserError: there are fewer, one is bad, or one stands in `training`.
    """
    lines = read_text_lines(path)
    check_texts(lines)
    held_out = {text: where for where, text in lines}
    refuse(
        f"{where}: also an evaluation prompt ({held_out[text]}): {shorten(text)}"
        for where, text in training
        if text in held_out
    )
    if len(lines) < num:
        raise UserError(f"{path}: holds {len(lines)} prompts, prepare.num_evaluation_prompts={num}")
    return [text for _, text in lines[:num]]


def split_off(prompts: list[Line], captions: list[Line], settings: Prepare) -> list[str]:
    """Takes evaluation prompts out of the training prompts, by the hash of seed and text.

    A caption of a training clip is never held out. The choice does not depend on the prompts' order.

    Raises:
        UserError: no training prompt would be left.
    """
    trained = {text for _, text in captions}
    free = [text for _, text in prompts if text not in trained]
    num = settings.num_evaluation_prompts
    if num > len(free) or num == len(prompts):
        raise UserError(
            f"{settings.source}: of {len(prompts)} prompts {len(free)} can be held out, "
            f"prepare.num_evaluation_prompts={num}, and one at least must stay to train on"
        )
    ranked = sorted(free, key=lambda text: hashlib.sha256(f"{settings.seed}:{text}".encode()).hexdigest())
    chosen = set(ranked[:num])
    return [text for text in free if text in chosen]
