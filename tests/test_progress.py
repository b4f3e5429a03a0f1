"""Progress as a terminal shows it, on a real one."""

import contextlib
import os
import pty
import sys

import pytest

from gpd.progress import CELLS, LEVELS, curve, curve_adder, progress_bar


def test_a_curve_goes_from_most_to_least() -> None:
    assert curve([]) == ""
    assert curve([0.3]) == curve([0.3, 0.3])[0] == LEVELS[0]
    assert curve([8.0, 4.0, 2.0, 1.0]) == LEVELS[7] + LEVELS[5] + LEVELS[2] + LEVELS[0]  # equal ratios, equal steps
    assert curve([float("nan"), 2.0, float("inf"), 0.0, 1.0]) == LEVELS[7] + LEVELS[0]


def test_a_long_curve_has_the_means_of_its_parts() -> None:
    drawn = curve([1 / (1 + n) for n in range(1000)])
    assert len(drawn) == CELLS
    assert list(drawn) == sorted(drawn, reverse=True)


def test_words_without_a_loss_stay() -> None:
    add = curve_adder()
    assert add("12 clips") == "12 clips"
    assert add("loss 0.5") == f"loss 0.5 {LEVELS[0]}"
    assert add("loss 0.25") == f"loss 0.25 {LEVELS[7]}{LEVELS[0]}"


def test_a_terminal_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPD_PROGRESS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress_bar("distill k8", 2) as advance:
            advance(1, "loss 0.5")
            advance(2, "loss 0.25")
    shown = b""
    with contextlib.suppress(OSError):  # the end of what a terminal was written; one read may have a part of it
        while part := os.read(leader, 100_000):
            shown += part
    os.close(leader)
    assert f"loss 0.25 {LEVELS[7]}{LEVELS[0]}" in shown.decode()
