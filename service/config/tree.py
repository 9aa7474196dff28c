"""YAML text -> a tree of plain nodes that remember their lines; what cannot be trusted is refused on the way.

The text is first walked as a stream of parser events, which needs no recursion: a tag, an anchor, an alias or deep
nesting ends it there, so nothing is ever constructed from a tag and nothing can expand. Only then PyYAML composes the
tree. Scalars keep their text, so that ``no``, ``on`` and ``08`` mean what the administrator wrote.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, cast

import yaml

from foundation.errors import ConfigError
from service.config.quoting import quotable_key

LARGEST_TEXT = 1_000_000
"""Bytes of YAML read at most."""
DEEPEST_NESTING = 12
"""No key of the configuration lies deeper than five; the rest is for clear messages about misplaced ones."""

_Loader: type[yaml.SafeLoader] = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class Plain(enum.Enum):
    """What YAML 1.1 takes an unquoted scalar for; everything quoted is TEXT."""

    TEXT = "text"
    NUMBER = "a number"
    BOOLEAN = "a boolean"
    NULL = "nothing"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, for messages: the file (or ``env:NAME``) and its line, from 1."""

    source: str
    line: int

    def __str__(self) -> str:
        return f"{self.source} line {self.line}"


@dataclass(frozen=True, slots=True)
class Scalar:
    text: str
    plain: Plain
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``key: value`` of a mapping."""

    key: str
    place: Place
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[Entry, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    place: Place


Node = Scalar | Mapping | Sequence

_PLAIN_OF_TAG = {
    "tag:yaml.org,2002:int": Plain.NUMBER,
    "tag:yaml.org,2002:float": Plain.NUMBER,
    "tag:yaml.org,2002:bool": Plain.BOOLEAN,
    "tag:yaml.org,2002:null": Plain.NULL,
}


def join(path: str, key: str | int) -> str:
    """``peers`` and 2 -> ``peers[2]``; ``peers[2]`` and ``host`` -> ``peers[2].host``. For messages: a URL that stands
    in a key's place is not repeated."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    key = quotable_key(key)
    return f"{path}.{key}" if path else key


def kind(node: Node) -> str:
    """What a node is, in the words of a message."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case _:
            return node.plain.value


def parse_yaml(data: bytes, source: str, path: str = "") -> Node:
    """The tree of one document; an empty document is an empty scalar (NULL).

    ``source`` names the file in messages, ``path`` the key whose value this text is (empty for the whole file).
    Raises ConfigError.
    """
    if len(data) > LARGEST_TEXT:
        raise ConfigError(path, f"{source} is larger than {LARGEST_TEXT} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(path, f"{source} is not UTF-8 (byte {error.start})") from None
    try:
        _refuse_dangerous(text, source, path)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" ({source} line {mark.line + 1} column {mark.column + 1})" if mark else f" ({source})"
        raise ConfigError(path, f"is not valid YAML: {error.problem or error.context}{where}") from None
    except yaml.YAMLError:
        raise ConfigError(path, f"is not valid YAML: it holds a control character ({source})") from None
    if node is None:
        return Scalar("", Plain.NULL, Place(source, 1))
    return _convert(node, source, path)


def _refuse_dangerous(text: str, source: str, path: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        where = f"({Place(source, _line(event.start_mark))})"
        if isinstance(event, yaml.NodeEvent):
            if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
                raise ConfigError(path, f"YAML anchors and aliases are not taken: write the value out {where}")
            if getattr(event, "tag", None) is not None:
                raise ConfigError(path, f"YAML tags are not taken: leave the !tag away {where}")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST_NESTING:
                raise ConfigError(path, f"is nested deeper than {DEEPEST_NESTING} levels {where}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(mark: Any) -> int:
    """From 1. The C parser's marks and PyYAML's own are unrelated classes with the same fields."""
    return int(mark.line) + 1


def _convert(node: yaml.Node, source: str, path: str) -> Node:
    place = Place(source, _line(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        return Mapping(_entries(node, source, path), place)
    if isinstance(node, yaml.SequenceNode):
        return Sequence(tuple(_convert(item, source, join(path, n)) for n, item in enumerate(node.value)), place)
    return Scalar(str(node.value), _PLAIN_OF_TAG.get(node.tag, Plain.TEXT), place)


def _entries(node: yaml.MappingNode, source: str, path: str) -> tuple[Entry, ...]:
    lines: dict[str, int] = {}
    entries: list[Entry] = []
    for key_node, value in node.value:
        place = Place(source, _line(key_node.start_mark))
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(path, f"has a key that is not a text ({place})")
        key = str(key_node.value)
        if not key.isprintable():
            raise ConfigError(path, f"has a key with a character that cannot be printed ({place})")
        inner = join(path, key)
        if key in lines:
            raise ConfigError(inner, f"stands here twice: first in line {lines[key]}, again ({place})")
        lines[key] = place.line
        entries.append(Entry(key, place, _convert(value, source, inner)))
    return tuple(entries)
