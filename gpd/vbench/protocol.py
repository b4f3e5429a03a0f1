"""What scores depend on, kept beside them: figures of two protocols never stand in one table."""

from pathlib import Path
from typing import Any

from gpd.artifacts import UserError, write_json
from gpd.documents.reading import parse_json


def keep_protocol(path: Path, protocol: dict[str, Any]) -> None:
    """Stores the protocol, or checks it against the one that is stored.

    Raises:
        UserError: they differ; names the file, the first key and both values.
    """
    if path.is_file():
        check_protocol(path, parse_json(path.read_text(encoding="utf-8")), protocol)
    else:
        write_json(path, protocol)


def check_protocol(path: Path, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    """Two protocols must agree in every key.

    Raises:
        UserError: they differ; names the file, the first key and both values.
    """
    for key in sorted(stored.keys() | asked.keys()):
        if stored.get(key) != asked.get(key):
            raise UserError(
                f"{path}: stored with {key}={stored.get(key)!r}, now it is {asked.get(key)!r}; "
                "give another --out, or remove the folder"
            )
