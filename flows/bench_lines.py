"""The flow of `flows.bench` that reads a busy command's lines as it would a stage's."""

import sys

from prefect import flow, get_run_logger

from flows import process
from flows.bench import CHILD
from flows.listener import Listener
from flows.settings import ROOT


@flow(name="bench-lines", persist_result=False)
def bench_lines() -> str:
    """The last line of the command."""
    listener = Listener("bench", get_run_logger())
    words = [sys.executable, "-c", CHILD]
    return process.run_command(words, cwd=ROOT, env=process.environment(), on_lines=listener, title="bench")[-1]


if __name__ == "__main__":
    print(bench_lines())
