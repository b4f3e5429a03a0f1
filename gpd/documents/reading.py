"""JSON and YAML of whatever origin: bounded in time and memory, each key once, and a ValueError of one line if not."""

import json
from collections import Counter
from typing import Any

import yaml

MAX_DEPTH = 100  # nested lists and mappings
MAX_YAML_CHARACTERS = 200_000  # PyYAML reads some 100,000 a second; profiles have under 10,000
MAX_YAML_NODES = 100_000  # with every alias written out
MAX_SHOWN = 300  # characters of a message


def parse_json(text: str) -> Any:
    """A JSON value.

    Raises:
        ValueError: it is not JSON, a key stands twice, a number is not finite, or it is nested too deep.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None
    _check_depth(value)
    return value


def parse_yaml(text: str) -> Any:
    """A YAML value of plain types.

    Raises:
        ValueError: it is not YAML, a key stands twice or is a list or mapping, it is too long or nested too deep, or
            its aliases stand for too much.
    """
    if len(text) > MAX_YAML_CHARACTERS:
        raise ValueError(f"{len(text)} characters, at most {MAX_YAML_CHARACTERS}")
    try:
        value = yaml.load(text, Loader=_PlainLoader)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())[:MAX_SHOWN]) from None
    _check_depth(value)
    return value


def show_value(value: Any, longest: int = 60) -> str:
    """A value in a message of one line, whatever it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more than 4,300 digits
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= longest else text[: longest - 3] + "..."


def show_key(parts: tuple[Any, ...]) -> str:
    """A dotted key in a message of one line."""
    key = ".".join(map(str, parts))
    return key if key.isprintable() and len(key) <= MAX_SHOWN else show_value(key, MAX_SHOWN)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON silently keeps the last of two equal keys; here that is an error."""
    made = dict(pairs)
    if len(made) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {show_value(twice)} stands twice")
    return made


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON value")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_DEPTH}")


class _PlainLoader(yaml.SafeLoader):
    """YAML silently keeps the last of two equal keys; here that is an error, as are aliases that explode."""

    def construct_document(self, node: yaml.Node) -> Any:
        if _count_nodes(node, {}) > MAX_YAML_NODES:
            raise yaml.YAMLError(f"its aliases stand for more than {MAX_YAML_NODES} values")
        return super().construct_document(node)


def _count_nodes(node: yaml.Node, known: dict[int, int | None]) -> int:
    """How many nodes there are with every alias written out; each node is visited once."""
    if id(node) in known:
        number = known[id(node)]
        if number is None:
            raise yaml.YAMLError("an alias stands inside of what it names")
        return number
    known[id(node)] = None
    number = 1
    if isinstance(node, yaml.SequenceNode):
        number += sum(_count_nodes(inner, known) for inner in node.value)
    if isinstance(node, yaml.MappingNode):
        number += sum(_count_nodes(key, known) + _count_nodes(value, known) for key, value in node.value)
    known[id(node)] = number
    return number


def _construct_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.YAMLError(f"expected a mapping (line {node.start_mark.line + 1})")
    seen = set()
    for key_node, _ in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.YAMLError(f"a key is a list or a mapping (line {line})")
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.YAMLError(f"key {show_value(key)} stands twice (line {line})")
        seen.add(key)
    return {loader.construct_object(k): loader.construct_object(v, deep=True) for k, v in node.value}


_PlainLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
