"""Settings in params.yaml that flows look for by what they are, whatever section they stand in."""

from pathlib import Path
from typing import Any

from flows.tree import Overrides, find_commit, params_of
from gpd.artifacts import UserError


def section_with(params: dict[str, Any], *keys: str) -> str:
    """The name of the section that has all these keys.

    Raises:
        UserError: none has.
    """
    for name, section in params.items():
        if isinstance(section, dict) and section.keys() >= set(keys):
            return name
    raise UserError(f"params.yaml: no section has {' and '.join(keys)}")


def subjects(params: dict[str, Any]) -> list[str]:
    """The names of what is evaluated."""
    return list(params[section_with(params, "subjects")]["subjects"])


def protocol_overrides(root: Path, commit: str, **settings: Any) -> Overrides:
    """Overrides for settings of the protocol, of those that are not None."""
    section = section_with(params_of(root, find_commit(root, commit), {}), *settings)
    return {f"{section}.{key}": value for key, value in settings.items() if value is not None}
