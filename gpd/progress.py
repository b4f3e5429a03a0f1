"""Progress bars: on standard error, and only if a person watches."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

Advance = Callable[[int, str], None]  # number done, a few words beside the bar

SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def progress_bar(title: str, total: int, is_shown: bool = True) -> Iterator[Advance]:
    """A bar for `total` units; quiet when standard error is not a terminal.

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
        task = progress.add_task(title, total=total, words="")
        yield lambda done, words: progress.update(task, completed=done, words=words)


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
