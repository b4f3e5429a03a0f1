"""The reports of runs over HTTP, for links from Prefect's pages: a browser follows no file:// link from there."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from flows.settings import HOST

VARIABLE = "GPD_REPORTS_URL"  # of a worker that `make prefect` has started: where the reports of its clone are served
REPORT = "report.html"


def link_to(report: Path, trees: Path) -> str:
    """The address of a report below the folder of all trees; empty if nothing serves it.

    Args:
        report: its file.
        trees: the folder that is served.
    """
    base = os.environ.get(VARIABLE, "")
    return f"{base}/{report.relative_to(trees).as_posix()}" if base else ""


def place_of(report: Path) -> str:
    """Where a report that nothing serves can be opened, as markdown."""
    return f"On {socket.gethostname()}: `{report}`"


class ReportHandler(SimpleHTTPRequestHandler):
    """Hands out reports below its folder, and nothing else that lies there."""

    def send_head(self) -> Any:
        """The answer to GET and HEAD: 404 unless a report is asked for."""
        if Path(self.translate_path(self.path)).name != REPORT:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        found: IO[bytes] | None = super().send_head()
        return found

    def log_message(self, format: str, *args: Any) -> None:  # the name in the standard library
        """Nothing: the pages' own log is enough."""


@contextmanager
def served(trees: Path, port: int) -> Iterator[str]:
    """Serves the reports below `trees` on the loopback address while the block runs; yields the address."""
    trees.mkdir(parents=True, exist_ok=True)
    handler = partial(ReportHandler, directory=str(trees))
    with ThreadingHTTPServer((HOST, port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
