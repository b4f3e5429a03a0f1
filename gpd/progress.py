"""Progress bars: on standard error, and only if a person watches."""

import contextlib
import math
import os
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence

Advance = Callable[[int, str], None]  # number done, a few words beside the bar

SECONDS_BETWEEN_LINES = 10.0
CELLS, LEVELS = 24, "▁▂▃▄▅▆▇█"
_LOSS = re.compile(r"^loss (\S+)")


@contextlib.contextmanager
def progress_bar(title: str, total: int, is_shown: bool = True) -> Iterator[Advance]:
    """A bar for `total` units, a loss in the words with its curve; quiet when standard error is not a terminal.

    With GPD_PROGRESS=lines it prints `title: done/total words` now and then instead, for whoever reads it as a stream.
    """
    if is_shown and os.environ.get("GPD_PROGRESS") == "lines":
        yield _lines(title, total)
        return
    if not (is_shown and sys.stderr.isatty()):
        yield lambda done, words: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[words]}"), console=Console(stderr=True)) as progress:
        task, add_curve = progress.add_task(title, total=total, words=""), curve_adder()
        yield lambda done, words: progress.update(task, completed=done, words=add_curve(words))


def curve_adder() -> Callable[[str], str]:
    """Adds to words such as `loss 0.12` the curve of all losses that it was given."""
    losses: list[float] = []

    def add(words: str) -> str:
        found = _LOSS.match(words)
        if not found:
            return words
        losses.append(float(found[1]))
        return f"{words} {curve(losses)}"

    return add


def curve(values: Sequence[float]) -> str:
    """At most CELLS characters, each the mean of its part of the values, on a logarithmic scale from least to most.

    Args:
        values: above 0; others are left out.
    """
    logs = [math.log(value) for value in values if 0 < value < math.inf]
    cells = min(CELLS, len(logs))
    means = [statistics.fmean(logs[len(logs) * n // cells : len(logs) * (n + 1) // cells]) for n in range(cells)]
    span = max(means, default=0.0) - min(means, default=0.0)
    return "".join(LEVELS[round((mean - min(means)) / span * (len(LEVELS) - 1)) if span else 0] for mean in means)


def _lines(title: str, total: int) -> Advance:
    import time

    last = -SECONDS_BETWEEN_LINES

    def advance(done: int, words: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done == total:
            last = now
            print(f"{title}: {done}/{total} {words}", file=sys.stderr, flush=True)

    return advance
