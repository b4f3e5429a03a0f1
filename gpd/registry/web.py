"""`gpd registry serve`: the registry in Datasette. A copy is served: read-only, and to this machine alone."""

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from gpd.artifacts import UserError
from gpd.registry.snapshot import write_snapshot

HOST = "127.0.0.1"
NAMES = [HOST, "localhost"]  # a page of the network whose name points here is refused: it could read along
NAME = "registry"  # of the database in the addresses
SETTINGS = {
    "sql_time_limit_ms": 5000,
    "facet_time_limit_ms": 1000,
    "max_returned_rows": 5000,
    "truncate_cells_html": 24,  # hashes: two fit beside the figures
}


def serve(url: str | None, port: int) -> None:
    """Serves a registry as it is now until it is stopped (Ctrl-C).

    Args:
        port: 0 takes any that is free.

    Raises:
        UserError: Datasette is not installed, the port is taken, or there is no registry.
    """
    _need_datasette()
    with _listening(port) as listener, tempfile.TemporaryDirectory(prefix="gpd-registry-") as folder:
        file = Path(folder) / f"{NAME}.db"
        write_snapshot(file, url)
        print(f"registry: http://{HOST}:{listener.getsockname()[1]}/{NAME} (Ctrl-C stops it)", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the copy is removed
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_answer(file, listener))


def load_metadata() -> dict[str, Any]:
    """Descriptions, facets and canned queries, in Datasette's own form."""
    text = (resources.files("gpd.registry") / "datasette.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def make_application(file: Path) -> Any:
    """Datasette on a snapshot."""
    from datasette.app import Datasette

    return Datasette(immutables=[str(file)], metadata=load_metadata(), settings=SETTINGS)


async def _answer(file: Path, listener: socket.socket) -> None:
    import uvicorn
    from fastapi.middleware.trustedhost import TrustedHostMiddleware

    application = make_application(file)
    await application.invoke_startup()
    guarded = TrustedHostMiddleware(application.app(), allowed_hosts=NAMES)
    await uvicorn.Server(uvicorn.Config(guarded, log_level="warning")).serve(sockets=[listener])


def _need_datasette() -> None:
    try:
        import datasette  # noqa: F401
    except ModuleNotFoundError:
        raise UserError("registry serve: Datasette is not installed; pip install 'gpd[web]'") from None


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()  # who asks before all is loaded waits
        except OSError as error:
            raise UserError(f"--port {port}: {error.strerror}; another may be free") from None
        yield listener
