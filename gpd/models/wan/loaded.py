"""Whether a library has loaded all that a network consists of. It would fill gaps with noise, and only log it."""

from pathlib import Path
from typing import Any

from gpd.artifacts import UserError


def whole(loaded: tuple[Any, dict[str, Any]], folder: Path) -> Any:
    """The network of `from_pretrained(.., output_loading_info=True)`.

    Raises:
        UserError: the files in `folder` lack some of its weights.
    """
    network, info = loaded
    missing = sorted(map(str, info["missing_keys"]))
    if missing:
        raise UserError(f"{folder}: {len(missing)} of its weights are in no file ({missing[0]}, ..)")
    return network
