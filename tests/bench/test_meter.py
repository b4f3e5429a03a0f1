import subprocess
import sys

import numpy as np
import pytest

from gpd.bench.meter import Meter, forget_peak, peak_bytes

MIB = 2**20


def test_a_peak_is_seen_after_it_has_passed_and_then_forgotten() -> None:
    forget_peak()
    before = peak_bytes()
    np.ones(300 * MIB, np.uint8)
    assert peak_bytes() - before > 250 * MIB
    forget_peak()
    assert peak_bytes() - before < 100 * MIB


def test_a_process_is_measured_by_itself() -> None:
    meter = Meter()
    meter.measure_process("big", [sys.executable, "-c", "x = b'1' * (400 * 2**20)"])
    (part,) = meter.parts
    assert part.peak_bytes > 400 * MIB
    assert part.seconds > 0


def test_a_failed_process_is_no_result() -> None:
    meter = Meter()
    with pytest.raises(subprocess.CalledProcessError):
        meter.measure_process("bad", [sys.executable, "-c", "raise SystemExit(3)"])
    assert meter.parts == []
