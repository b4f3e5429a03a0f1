"""What may come from elsewhere: bytes that were valid once, values that nobody expects, texts that mean to be more."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from gpd.artifacts import hash_json

NASTY_TEXTS = (
    "",
    "\x00",
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "\ud800",
    "\u2028",
    "\u202e",
    "a\nb",
    "-rf",
    "--output=/tmp/x",
    "../../etc/passwd",
    "/etc/passwd",
    "~root",
    "$(id)",
    "`id`",
    "{{7*7}}",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "![x](javascript:alert(1))",
    "'; DROP TABLE artifact; --",
    "CON",
    ".",
    "..",
    "a" * 5000,
    "é" * 300,
)
NASTY_NUMBERS = (-1, 0, 1, 2**31, 2**63, 2**64, 10**400, -(2**63), 1e308, -0.0, 1e-320)
NASTY_BYTES = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\n",
    b'"',
    b"\\",
    b"{" * 200,
    b"[" * 5000,
    b"\xff" * 8,
    b"&a *a",
)

texts = st.one_of(st.sampled_from(NASTY_TEXTS), st.text(max_size=20))
scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(NASTY_NUMBERS), st.floats(), texts)
values = st.recursive(
    scalars, lambda of: st.lists(of, max_size=3) | st.dictionaries(texts, of, max_size=3), max_leaves=6
)


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    """Valid bytes with a few of them changed, cut off, doubled, or replaced by what parsers trip over."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([1, 1, 2, 8, 100, 4096]))
        kind = draw(st.sampled_from(["flip", "cut", "drop", "double", "nasty", "random"]))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + length]
        elif kind == "double":
            data[at:at] = data[at : at + length]
        elif kind == "nasty":
            data[at : at + length] = draw(st.sampled_from(NASTY_BYTES))
        else:
            data[at : at + length] = draw(st.binary(max_size=length))
    return bytes(data)


@st.composite
def altered(draw: st.DrawFn, valid: Any) -> Any:
    """A JSON value with something in it replaced, removed or added."""
    if not isinstance(valid, dict | list) or not valid or draw(st.integers(0, 5)) == 0:
        return draw(values)
    place = draw(st.sampled_from(sorted(valid) if isinstance(valid, dict) else range(len(valid))))
    changed = dict(valid) if isinstance(valid, dict) else list(valid)
    kind = draw(st.sampled_from(["within", "within", "within", "replace", "remove", "add"]))
    if kind == "within":
        changed[place] = draw(altered(valid[place]))
    elif kind == "replace":
        changed[place] = draw(values)
    elif kind == "remove":
        del changed[place]
    elif isinstance(changed, dict):
        changed[draw(texts)] = draw(values)
    else:
        changed.append(draw(values))
    return changed


def as_json(value: Any) -> str:
    """JSON; a document that has a seal is sealed again, as by somebody who means harm."""
    if isinstance(value, dict) and "seal" in value:
        rest = {key: one for key, one in value.items() if key != "seal"}
        with suppress(ValueError):  # not-a-number
            value = {**rest, "seal": hash_json(rest)}
    return json.dumps(value)


def documents(valid: Any, write: Callable[[Any], str] = as_json) -> st.SearchStrategy[bytes]:
    """Bytes of a document that is nearly valid: altered as a value, or as bytes."""
    as_value = altered(valid).map(lambda value: write(value).encode("utf-8", "surrogatepass"))
    return st.one_of(as_value, mutated(write(valid).encode()))
