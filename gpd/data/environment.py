"""What the environment says about how a machine is used; nothing of it changes a result."""

import os

from gpd.artifacts import UserError


def number_from(name: str) -> int | None:
    """The whole number above 0 in an environment variable; None if it is not set.

    Raises:
        UserError: it holds something else.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UserError(f"{name}={text!r} must be a whole number above 0")
    return int(text)
