"""Processes that outlive the one that started them, however it went: none may."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess


def is_orphan() -> bool:
    """Was this process started by another one that is gone?"""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def end_with_parent() -> None:
    """Ends this process by SIGTERM, later, if its parent is gone: in a pool it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
