"""SIGTERM and SIGINT: a pre-empted machine, a cancelled flow and Ctrl-C lose nothing that was trained."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from types import FrameType

import torch

from gpd.distillation.processes.peers import Peers

SIGNALS = (signal.SIGTERM, signal.SIGINT)
DEAF_SECONDS = 5.0  # in which no line of Python has begun: a library waits for a process that may be gone


class StoppedError(SystemExit):
    """The run ends because it was told to; its exit status is 128 and the signal's number."""

    def __init__(self, number: int, where: str) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} {where}")
        self.code = 128 + number


class Stop:
    """Whether this run was told to end.

    A signal ends it at once by StoppedError; but while it iterates over `put_off` only when the loop says so, which
    then saves first. Later signals change nothing, for whoever ends several processes may tell each of them twice.

    Python runs a handler between two of its lines. One that waits in a library, as where processes meet for the first
    time, is ended by a thread: nothing was trained there.
    """

    def __init__(self) -> None:
        self.number = 0  # of the first signal
        self.is_put_off = False
        self.peers: Peers | None = None
        self.is_heard = threading.Event()

    @contextlib.contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Signals come here; only the main thread may call it."""
        before = {number: signal.signal(number, self.hear) for number in SIGNALS}
        try:
            with self._watched():
                yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        told, tells = socket.socketpair()
        tells.setblocking(False)
        before = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
        watch = threading.Thread(target=self._watch, args=(told,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            tells.close()
            watch.join()
            told.close()

    def _watch(self, told: socket.socket) -> None:
        """A byte comes for each signal, whatever the main thread does."""
        while number := told.recv(1):
            if number[0] in SIGNALS and not self.is_heard.wait(DEAF_SECONDS) and not self.is_put_off:
                os._exit(128 + number[0])

    def hear(self, number: int, frame: FrameType | None = None) -> None:
        """What a signal does."""
        self.is_heard.set()
        if self.number:
            return
        self.number = number
        if not self.is_put_off:
            self.check("before its iterations or after them")

    def check(self, where: str) -> None:
        """Raises StoppedError if this process was told to end."""
        if self.number:
            raise StoppedError(self.number, where)

    def put_off(self, iterations: Iterable[int]) -> Iterator[int]:
        """The iterations, in which a signal interrupts nothing; all processes begin them together."""
        self.peers, self.is_put_off = Peers(), True
        try:
            yield from iterations
        finally:
            self.is_put_off = False

    def is_agreed(self) -> bool:
        """Whether any process was told to end: all call it in every iteration, and hear the same.

        It costs a message of 8 bytes beside the device's work, which nobody waits for.
        """
        assert self.peers is not None, "iterates over put_off"
        self.number = int(max(self.peers.gather(torch.tensor(self.number))))
        return self.number > 0

    def end(self, where: str) -> None:
        """Raises StoppedError in all processes, when all have come so far: the first to end takes the others along."""
        self.is_agreed()
        self.check(where)
