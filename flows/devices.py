"""GPUs of this machine: each is one slot, seen as a concurrency limit in Prefect, and held by one stage at a time.

A file lock decides (it is free as soon as its holder is gone, also after kill -9); the limit of the same name makes
every worker of the server and the pages see it, and lets a person close a device by setting it to 0.
"""

import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flows.locks import first_free
from flows.process import StoppedError, is_stopping

GRANT_SECONDS = 3.0  # how long to wait for one device before the next is tried
SECONDS_BETWEEN_TRIES = 1.0
CLOSED = "greater than the limit"  # what the server answers if a limit is 0
LEASE_SECONDS = 60.0  # after a crash the server frees the slot this late


@dataclass(frozen=True)
class Slot:
    """A device that is ours: the environment that names it, descriptors to keep open while it is used."""

    env: dict[str, str] = field(default_factory=dict)
    held: tuple[int, ...] = ()


def visible() -> list[str]:
    """The devices of this machine: of GPD_GPUS or CUDA_VISIBLE_DEVICES ("0,1"; "" for none), else of nvidia-smi."""
    named = os.environ.get("GPD_GPUS", os.environ.get("CUDA_VISIBLE_DEVICES"))  # the latter: a scheduler's share
    if named is not None:
        return [device.strip() for device in named.split(",") if device.strip() not in ("", "-1")]
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(lines))] if done.returncode == 0 else []


def hidden() -> dict[str, str]:
    """The environment of a stage without a device; with GPD_GPUS="" it sees none even if there are some."""
    return {"CUDA_VISIBLE_DEVICES": ""} if "GPD_GPUS" in os.environ and not visible() else {}


def limit_of(device: str) -> str:
    """The name of a device's concurrency limit."""
    return f"gpd-gpu-{platform.node()}-{device}"


def limits() -> list[str]:
    """The names of this machine's concurrency limits, one slot each."""
    return [limit_of(device) for device in visible()]


@contextmanager
def free_device(devices: list[str], on_wait: Callable[[], None] = lambda: None) -> Iterator[tuple[str, int]]:
    """Waits for a device that nobody on this machine uses; yields it and the descriptor of its lock."""
    folder = Path(tempfile.gettempdir()) / f"gpd-gpus-{os.getuid()}"
    with first_free([folder / f"{device}.lock" for device in devices], on_wait) as (position, descriptor):
        yield devices[position], descriptor


@contextmanager
def gpu_slot(on_wait: Callable[[], None] = lambda: None) -> Iterator[Slot]:
    """Waits for a device of our own; the slot is empty if this machine has none."""
    devices = visible()
    if not devices:
        yield Slot()
        return
    with ExitStack() as stack:
        while (slot := _try_free_device(stack, devices, on_wait)) is None:
            if is_stopping():
                raise StoppedError("waiting for a GPU: the flow is stopping")
            on_wait()
            on_wait = _quiet
            time.sleep(SECONDS_BETWEEN_TRIES)
        yield slot


def _try_free_device(stack: ExitStack, devices: list[str], on_wait: Callable[[], None]) -> Slot | None:
    """A device whose file lock and whose limit are ours until the stack ends.

    Returns None if the server grants no slot of the one that is free here: a person has closed it, or a killed
    holder's lease is not over. That device is then tried last.
    """
    from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
    from prefect.concurrency.sync import concurrency

    with ExitStack() as attempt:
        device, descriptor = attempt.enter_context(free_device(devices, on_wait))
        limit = concurrency(
            limit_of(device),
            strict=True,  # an unknown limit would not limit
            timeout_seconds=GRANT_SECONDS,
            lease_duration=LEASE_SECONDS,
            raise_on_lease_renewal_failure=False,  # the server may restart: the file lock remains
        )
        try:
            attempt.enter_context(limit)
        except (TimeoutError, ConcurrencySlotAcquisitionError) as error:
            if not isinstance(error, TimeoutError) and CLOSED not in str(error):
                raise
            devices.append(devices.pop(devices.index(device)))
            return None
        stack.enter_context(attempt.pop_all())
    return Slot({"CUDA_VISIBLE_DEVICES": device}, (descriptor,))


def _quiet() -> None:
    """Waiting is reported once."""
