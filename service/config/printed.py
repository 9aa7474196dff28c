"""The configuration as it is in force, as texts for people: no secret, no password of a URL. Pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.config.load import anchored
from service.config.model import Config
from service.config.shape import ListOf, Scalar, Section, Shape, TableOf, section_of
from service.config.spec import Duration
from service.config.storage import Database, Live
from service.config.values import NEVER, FileOrUrl, Secret, format_duration

HIDDEN = "(set, not shown)"
NOTHING = "(none)"


@dataclass(frozen=True, slots=True)
class Line:
    """``value`` of a key; ``usual``: it is what it would be without the file."""

    key: str
    value: str
    usual: bool


def printed(config: Config) -> list[Line]:
    """Every key of ``config.yaml`` with the value that is in force, in the order of the file."""
    bare = Config() if config.source_path is None else anchored(Config(), config.source_path)
    usual = dict(_texts(section_of(Config), bare, ""))
    usual |= dict(_usual_of_items(section_of(Config), config, ""))
    return [Line(key, value, usual.get(key) == value) for key, value in _texts(section_of(Config), config, "")]


def _usual_of_items(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """What the keys of each item of a list would be if the item did not say them."""
    match shape:
        case Section() if value is not None:
            for key, member in shape.members.items():
                inner = f"{path}.{key}" if path else key
                yield from _usual_of_items(member.shape, getattr(value, member.field), inner)
        case ListOf(item=Section() as item):
            for index, _ in enumerate(value or ()):
                for one in dataclasses.fields(item.struct):
                    for key, member in item.members.items():
                        if member.field == one.name and not member.required:
                            yield from _texts(member.shape, _default(one), f"{path}[{index}].{key}")


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _texts(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, str]]:
    match shape:
        case Section() if value is not None:
            for key, member in shape.members.items():
                yield from _texts(member.shape, getattr(value, member.field), f"{path}.{key}" if path else key)
        case ListOf() | TableOf() if not value:
            yield path, NOTHING
        case ListOf(item=Scalar() as scalar):
            yield path, ", ".join(_text(scalar, one) for one in value)
        case ListOf():
            for index, one in enumerate(value):
                yield from _texts(shape.item, one, f"{path}[{index}]")
        case TableOf():
            # Which field is which is the table's affair: the first is the key.
            for one in value:
                name, held = (getattr(one, field) for field in one.__dataclass_fields__)
                yield from _texts(shape.value, held, f"{path}.{name}")
        case Scalar():
            yield path, _text(shape, value)
        case _:
            yield path, NOTHING


def _text(shape: Scalar, value: Any) -> str:
    spec = shape.spec
    if spec.secret or isinstance(value, Secret):
        return NOTHING if value is None else HIDDEN
    if isinstance(spec, Duration):
        return format_duration(value) if value is not None or spec.never else NOTHING
    match value:
        case None:
            return NEVER if getattr(spec, "never", False) else NOTHING
        case bool():
            return "true" if value else "false"
        case enum.Enum():
            return str(value.value)
        case FileOrUrl():
            return str(value.path) if value.path is not None else _without_secrets(value.url or "")
        case Database() | Live():
            where = value.url if isinstance(value, Live) or value.url else str(value.path or "")
            return f"{value.kind.value} {_without_secrets(where or '')}".rstrip()
        case Path():
            return str(value)
        case _:
            return _without_secrets(str(value))


def _without_secrets(text: str) -> str:
    """A URL without user, password, query and fragment, where people put keys; other texts as they are."""
    if "://" not in text:
        return text
    scheme, _, rest = text.partition("://")
    rest = rest.partition("#")[0].partition("?")[0]
    hosts, slash, path = rest.partition("/")
    return f"{scheme}://{hosts.rpartition('@')[2]}{slash}{path}"
