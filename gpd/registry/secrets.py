"""What of an address may be printed: everything but what opens a door."""

import re
from urllib.parse import unquote

HIDDEN = "***"
SECRET_KEYS = ("pass", "secret", "token", "key")  # as a part of a query's key, in any case

# as much as possible is taken for the password: one may have @ and / in it
_USER_INFO = re.compile(r"(\w://[^\s:/]*):\S*@")
_QUERY_VALUE = re.compile(r"([?&;])([^\s=?&;]+)=[^\s&;#]*")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*(?=://)")
_BROKEN = re.compile(r":.*@|^(postgres|sqlite)[\w+]*:", re.IGNORECASE | re.DOTALL)


def is_secret(key: str) -> bool:
    """Whether the value of this key of a query is not to be seen."""
    return any(word in unquote(key).lower() for word in SECRET_KEYS)


def mask_passwords(text: str) -> str:
    """The text with *** for the password, and for each secret value of the query, of every URL in it."""
    return _QUERY_VALUE.sub(_mask_value, _USER_INFO.sub(rf"\1:{HIDDEN}@", text))


def _mask_value(found: re.Match[str]) -> str:
    sign, key = found.groups()
    return f"{sign}{key}={HIDDEN}" if is_secret(key) else found.group()


def is_broken_url(text: str) -> bool:
    """Whether a text without :// is rather a URL with a mistake in it than the path of a file."""
    return bool(_BROKEN.search(text)) or mask_passwords(text) != text


def only_scheme(text: str) -> str:
    """What may be printed of a URL that cannot be understood, in which a password may stand anywhere."""
    scheme = _SCHEME.match(text)
    return f"{scheme.group()}://..." if scheme else "..."
