"""Prefect's settings: `prefect.toml` as environment variables, and what differs from place to place."""

import os
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
PORT = 4200


def environment(home: Path, port: int = PORT) -> dict[str, str]:
    """This process's environment for a server, a worker or a client that keep their state in `home`."""
    return {
        **os.environ,
        **dict(flatten(tomllib.loads((ROOT / "prefect.toml").read_text()))),
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api_url(port),
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_CLI_PROMPT": "false",
    }


def flatten(section: dict[str, Any], prefix: str = "PREFECT") -> Iterator[tuple[str, str]]:
    """`{"server": {"api": {"host": "x"}}}` as `PREFECT_SERVER_API_HOST=x`."""
    for key, value in section.items():
        name = f"{prefix}_{key.upper()}"
        if isinstance(value, dict):
            yield from flatten(value, name)
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def api_url(port: int) -> str:
    """Where the server on this machine listens."""
    return f"http://{HOST}:{port}/api"


def current_api_url() -> str:
    """Where a client in this process looks for its server."""
    from prefect.settings import get_current_settings

    return str(get_current_settings().api.url or "")


def is_reachable(url: str) -> bool:
    """Whether a Prefect server answers there."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def require_server() -> str:
    """The server's address, or one line with what to do."""
    url = current_api_url()
    if not is_reachable(url):
        raise SystemExit(
            f"gpd: no Prefect server at {url or '(PREFECT_API_URL is empty)'}: start one with `make prefect`"
        )
    return url
