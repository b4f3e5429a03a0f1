"""Text of whatever origin is read or refused in one line, in bounded time."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpd.artifacts import UserError
from gpd.data.lines import read_rows
from gpd.documents.document import load_json
from gpd.documents.reading import MAX_DEPTH, parse_json, parse_yaml, show_key, show_value
from gpd.params import load_params

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))


@given(values)
def test_json_comes_back(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value


@given(values)
def test_yaml_comes_back(value: Any) -> None:
    assert parse_yaml(yaml.safe_dump(value)) == value


def message_of(parse: Callable[[str], Any], text: str) -> str:
    """Why a text is refused; nothing if it is read."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return ""


@given(st.text())
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for parse in (parse_json, parse_yaml):
        assert "\n" not in message_of(parse, text)


def test_aliases_may_be_used() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: *a") == {"a": {"x": 1}, "b": {"x": 1}}


HOSTILE_YAML = {
    "laughs": (LAUGHS, "aliases stand for more than 100000 values"),
    "merges": (MERGES, "aliases stand for more than 100000 values"),
    "itself": ("a: &a [*a]", "an alias stands inside of what it names"),
    "itself merged": ("a: &a {<<: *a}", "an alias stands inside of what it names"),
    "deep flow": ("[" * 50_000, "nested deeper"),
    "deep block": ("- " * 50_000, "nested deeper"),
    "a little too deep": ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "nested deeper"),
    "long": ("a: 1\n" * 100_000, "500000 characters"),
    "many keys": ("".join(f"k{n}: 1\n" for n in range(10_000)) + "k0: 2", "key 'k0' stands twice"),
    "list as key": ("? [a, b]\n: 1", "a key is a list or a mapping"),
    "mapping as key": ("{{a: b}: 1}", "a key is a list or a mapping"),
    "no mapping": ("!!map [a]", "expected a mapping"),
    "no date": ("a: 2024-13-45", "month must be in"),
    "no number": ("a: !!int x", "invalid literal"),
    "long number": ("a: " + "9" * 5000, "4300 digits"),
    "code": ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    "long tag": ("!" + "x" * 100_000 + " 1", "could not determine a constructor"),
    "control": ("a: \0", "special characters are not allowed"),
    "two documents": ("a: 1\n---\nb: 2", "expected a single document"),
}
HOSTILE_JSON = {
    "deep": ("[" * 200_000, "nested deeper"),
    "deep objects": ('{"a":' * 200_000, "nested deeper"),
    "a little too deep": ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "nested deeper"),
    "twice": ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' stands twice"),
    "NaN": ('{"a": NaN}', "NaN is not a JSON value"),
    "infinity": ('{"a": -Infinity}', "-Infinity is not a JSON value"),
    "long number": ('{"a": ' + "9" * 5000 + "}", "4300 digits"),
    "cut short": ('{"a": ', "Expecting value"),
}


def refused(parse: Callable[[str], Any], text: str) -> str:
    """The message, which is one line and has come soon."""
    start = time.process_time()
    message = message_of(parse, text)
    assert time.process_time() - start < 20
    assert message
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize(("text", "message"), HOSTILE_YAML.values(), ids=HOSTILE_YAML.keys())
def test_hostile_yaml_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in refused(parse_yaml, text)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=r"params\.yaml: not valid YAML: [^\n]+$"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(("text", "message"), HOSTILE_JSON.values(), ids=HOSTILE_JSON.keys())
def test_hostile_json_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in refused(parse_json, text)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json: not readable as JSON [^\n]+$"):
        load_json(tmp_path / "a.json", "run it again")
    with pytest.raises(UserError, match=r"a\.json:1: not JSON [^\n]+$"):
        read_rows(tmp_path / "a.json", required=("text",))


def test_values_and_keys_are_shown_in_one_line() -> None:
    assert show_value("a" * 100) == "'" + "a" * 56 + "..."
    assert show_value(16**5000) == "a very large int"
    assert show_value(math.inf) == "inf"
    assert show_key(("a", 0, "b")) == "a.0.b"
    assert show_key(("a\nb", "\ud800")) == r"'a\nb.\ud800'"


@pytest.mark.parametrize("text", ["model: 0x" + "f" * 9000, '"a\\nb": 1', '"\\ud800": 1'])
def test_each_mistake_in_params_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_params(tmp_path / "params.yaml")
    assert all(line.startswith(str(tmp_path)) and len(line) < 500 for line in str(caught.value).split("\n"))
