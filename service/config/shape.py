"""The structs of ``model.py`` as a tree of shapes: what ``load.py`` walks and the documentation test lists."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from service.config.spec import Closed, Duration, Key, ScalarSpec, Switch, Table, Whole


@dataclass(frozen=True, slots=True)
class Scalar:
    """``quoted``: a message about a wrong value may repeat what can be no secret by its looks."""

    spec: ScalarSpec
    quoted: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """One key of a section: the struct's field it fills and what may stand there."""

    field: str
    shape: Shape
    required: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys -> a struct; ``never`` also takes that word, as None."""

    struct: type[Any]
    members: dict[str, Member]
    never: bool = False

    @property
    def secret(self) -> bool:
        return any(_secret(member.shape) for member in self.members.values())


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Shape

    @property
    def secret(self) -> bool:
        return _secret(self.item)


@dataclass(frozen=True, slots=True)
class TableOf:
    """A mapping with free keys -> a tuple of two-field structs."""

    struct: type[Any]
    key: Scalar
    value: Shape

    @property
    def secret(self) -> bool:
        return _secret(self.value)


Shape = Scalar | Section | ListOf | TableOf


def _secret(shape: Shape) -> bool:
    return shape.spec.secret if isinstance(shape, Scalar) else shape.secret


@cache
def section_of(struct: type[Any]) -> Section:
    """The shape of a struct of ``model.py``."""
    hints = get_type_hints(struct, include_extras=True)
    members: dict[str, Member] = {}
    for one in dataclasses.fields(struct):
        if one.metadata.get("key", "") is None:
            continue
        hint = hints[one.name]
        required = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        members[_key_of(one.name, hint)] = Member(one.name, _shape_of(hint), required)
    if any(isinstance(member.shape, Scalar) and member.shape.spec.secret for member in members.values()):
        # Beside a secret stands, by mistake, the secret.
        members = {key: _unquoted(member) for key, member in members.items()}
    return Section(struct, members)


def _unquoted(member: Member) -> Member:
    if not isinstance(member.shape, Scalar):
        return member
    return dataclasses.replace(member, shape=dataclasses.replace(member.shape, quoted=False))


def key_paths(shape: Shape, path: str = "") -> Iterator[str]:
    """Every key there is, as ``views.max_age.local`` or ``peers[].host``; a table's keys are ``{}``."""
    match shape:
        case Section():
            for key, member in shape.members.items():
                inner = f"{path}.{key}" if path else key
                yield inner
                yield from key_paths(member.shape, inner)
        case ListOf():
            yield from key_paths(shape.item, f"{path}[]")
        case TableOf():
            yield from key_paths(shape.value, f"{path}{{}}")
        case Scalar():
            return


def _key_of(name: str, hint: object) -> str:
    for marker in _markers(hint):
        if isinstance(marker, Key):
            return marker.name
        if isinstance(marker, Duration):
            return name.removesuffix("_ms")
    return name.removesuffix("_bytes")


def _markers(hint: object) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _shape_of(hint: Any) -> Shape:
    for marker in _markers(hint):
        if isinstance(marker, Table):
            return _table_of(get_args(get_args(hint)[0])[0])
        if not isinstance(marker, Key):
            return Scalar(cast(ScalarSpec, marker), quoted=getattr(marker, "quoted", True))
    if get_origin(hint) is Annotated:
        return _shape_of(get_args(hint)[0])
    if get_origin(hint) is tuple:
        return ListOf(_shape_of(get_args(hint)[0]))
    if get_origin(hint) in (Union, types.UnionType):
        inner = _shape_of(next(one for one in get_args(hint) if one is not type(None)))
        return dataclasses.replace(inner, never=True) if isinstance(inner, Section) else inner
    return _plain_shape(hint)


def _plain_shape(hint: type[Any]) -> Shape:
    if hint is bool:
        return Scalar(Switch())
    if hint is int:
        return Scalar(Whole())
    if issubclass(hint, enum.Enum):
        return Scalar(Closed(hint))
    if dataclasses.is_dataclass(hint):
        return section_of(hint)
    raise TypeError(f"no way to write {hint}")


def _table_of(struct: type[Any]) -> TableOf:
    hints = get_type_hints(struct, include_extras=True)
    key, value = (_shape_of(hints[one.name]) for one in dataclasses.fields(struct))
    assert isinstance(key, Scalar)
    return TableOf(struct, key, value)
