import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpd.bench.meter import Meter, forget_peak, peak_bytes
from gpd.documents.benchmarks import SampleCost

MIB = 2**20


def test_a_peak_is_seen_after_it_has_passed_and_then_forgotten() -> None:
    forget_peak()
    before = peak_bytes()
    np.ones(300 * MIB, np.uint8)
    assert peak_bytes() - before > 250 * MIB
    forget_peak()
    assert peak_bytes() - before < 100 * MIB


def test_what_the_journal_has_is_not_done_again(tmp_path: Path) -> None:
    journal, calls = tmp_path / "parts.jsonl", []

    def work() -> SampleCost:
        calls.append(1)
        return SampleCost(of_96_forwards=96.0, of_6_forwards=6.0)

    found = Meter(journal, "one").measure("sample", work, SampleCost.model_validate)
    again = Meter(journal, "one")
    assert again.measure("sample", work, SampleCost.model_validate) == found
    assert ([part.name for part in again.parts], len(calls)) == (["sample"], 1)
    Meter(journal, "another commit").measure("sample", work, SampleCost.model_validate)
    assert len(calls) == 2


def test_a_process_is_measured_by_itself(tmp_path: Path) -> None:
    meter = Meter(tmp_path / "parts.jsonl", "big")
    meter.measure_process("big", [sys.executable, "-c", "x = b'1' * (400 * 2**20)"])
    (part,) = meter.parts
    assert part.peak_bytes > 400 * MIB
    assert part.seconds > 0


def test_a_failed_process_is_no_result(tmp_path: Path) -> None:
    meter = Meter(tmp_path / "parts.jsonl", "bad")
    with pytest.raises(subprocess.CalledProcessError):
        meter.measure_process("bad", [sys.executable, "-c", "raise SystemExit(3)"])
    assert meter.parts == []
