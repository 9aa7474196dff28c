"""``config.yaml`` -> ``Config``: strict, and one clear error at the first thing that is wrong.

``model.py`` says what there is; this module walks it beside the tree of the file. ``env:NAME`` and ``file:PATH`` are
followed where a scalar stands; standing for a whole list or mapping, their text is read as YAML.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO, cast

from foundation.errors import ConfigError
from service.config import tree
from service.config.checks import check
from service.config.model import Config
from service.config.quoting import is_quotable, quotable_key
from service.config.references import References
from service.config.shape import ListOf, Scalar, Section, Shape, TableOf, section_of
from service.config.starting import check_start, doubts, missing_files
from service.config.storage import Database, DatabaseKind

EMPTY = "the configuration says nothing: it is empty, or all of it is comments"
"""What nobody wants under a running service: most likely the file was cut off while it was written."""


def load_config(path: Path, env: Mapping[str, str]) -> Config:
    """Read and validate the file at ``path``; ``env`` answers ``env:NAME``.

    Raises ConfigError: its path names the key, its message ends with file and line where they are known.
    """
    return _loaded(path, env)[0]


def _loaded(path: Path, env: Mapping[str, str]) -> tuple[Config, _Reader]:
    try:
        with path.open("rb") as file:
            data = file.read(tree.LARGEST_TEXT + 1)
    except OSError as error:
        raise ConfigError("", f"cannot be read: {error.strerror or 'unusable'}") from None
    except ValueError:
        raise ConfigError("", "the path of the configuration file is unusable") from None
    root = tree.parse_yaml(data, path.name)
    reader = _Reader(References(path.absolute().parent, env))
    try:
        config = cast(Config, reader.read(root, section_of(Config), ""))
        config = dataclasses.replace(anchored(config, path.absolute()), empty=_says_nothing(root))
        check(config)
    except ConfigError as error:
        raise reader.located(error) from None
    return config, reader


def check_config(
    path: Path, env: Mapping[str, str] | None = None, *, out: TextIO | None = None, err: TextIO | None = None
) -> int:
    """Say in one line that the file is fine (status 0), or what is not, on stderr (status 2). What a start would warn
    of is said there as well."""
    err = err or sys.stderr
    try:
        config, reader = _loaded(path, os.environ if env is None else env)
        try:
            check_start(config)
        except ConfigError as error:
            raise reader.located(error) from None
    except ConfigError as error:
        print(f"{path}: {error}", file=err)
        return 2
    if config.empty:
        print(f"{path}: warning: {EMPTY}: everything has its default", file=err)
    for doubt in (*doubts(config), *missing_files(config)):
        print(f"{path}: warning: {doubt}", file=err)
    what = f"{len(config.peers)} peers, {len(config.tokens)} tokens, {len(config.videos)} videos"
    print(f"{path}: OK ({config.instance.url}; {what})", file=out or sys.stdout)
    return 0


def _says_nothing(root: tree.Node) -> bool:
    return not (root.entries if isinstance(root, tree.Mapping) else isinstance(root, tree.Scalar) and root.text)


def anchored(config: Config, path: Path) -> Config:
    """Relative paths begin at the file's directory, whatever directory the service was started in."""
    storage = config.storage
    database: Database = storage.database
    if database.kind is DatabaseKind.SQLITE and database.path is not None:
        database = dataclasses.replace(database, path=path.parent / database.path)
    storage = dataclasses.replace(storage, directory=path.parent / storage.directory, database=database)
    geoip = config.geoip
    for name in ("country", "city"):
        source = getattr(geoip, name)
        if source is not None and source.path is not None:
            source = dataclasses.replace(source, path=path.parent / source.path)
            geoip = dataclasses.replace(geoip, **{name: source})
    return dataclasses.replace(config, storage=storage, geoip=geoip, source_path=path)


class _Reader:
    """Walks shapes and nodes together; remembers where each key stood, for errors found only afterwards."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._places: dict[str, tree.Place] = {}

    def located(self, error: ConfigError) -> ConfigError:
        """The same error with file and line of its key, or of the nearest one around it."""
        if error.message.endswith(")") and " line " in error.message.rpartition("(")[2]:
            return error
        path = error.path
        while path and path not in self._places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        place = self._places.get(path)
        return error if place is None else ConfigError(error.path, f"{error.message} ({place})")

    def read(self, node: tree.Node, shape: Shape, path: str) -> object:
        self._places.setdefault(path, node.place)
        match shape:
            case Scalar():
                return self._scalar(node, shape, path)
            case Section():
                return self.section(node, shape, path)
            case ListOf():
                return self._list(node, shape, path)
            case TableOf():
                return self._table(node, shape, path)

    def _scalar(self, node: tree.Node, shape: Scalar, path: str) -> object:
        spec = shape.spec
        if not isinstance(node, tree.Scalar):
            raise ConfigError(path, f"expected {spec.expects}, got {tree.kind(node)}")
        if node.plain is tree.Plain.NULL:
            raise ConfigError(path, f"expected {spec.expects}, got nothing: leave the key out to have its default")
        text = node.text
        if self._references.is_reference(node):
            text = self._references.follow(node.text, path, secret=spec.secret)
        elif node.plain not in spec.accepts:
            advice = ": put it in quotes" if tree.Plain.TEXT in spec.accepts else ""
            got = "a text" if node.plain is tree.Plain.TEXT else node.plain.value
            raise ConfigError(path, f"expected {spec.expects}, got {got}{advice}")
        try:
            return spec.parse(text)
        except ValueError as error:
            # What was written helps to see the mistake, but a secret and whatever came from elsewhere stay unseen.
            unseen = spec.secret or not shape.quoted or text != node.text or not is_quotable(text)
            shown = "" if unseen else f'"{text}" '
            raise ConfigError(path, f"{shown}{error}") from None

    def section(self, node: tree.Node, shape: Section, path: str) -> object:
        node = self._opened(node, path, secret=shape.secret)
        if isinstance(node, tree.Scalar) and node.plain is tree.Plain.NULL:
            node = tree.Mapping((), node.place)
        if isinstance(node, tree.Scalar) and node.text == "never" and shape.never:
            return None
        if not isinstance(node, tree.Mapping):
            raise ConfigError(path, f"expected a mapping, got {tree.kind(node)}")
        values: dict[str, object] = {}
        for entry in node.entries:
            inner = tree.join(path, entry.key)
            self._places[inner] = entry.place
            member = shape.members.get(entry.key)
            if member is None:
                named = tree.join(path, quotable_key(entry.key, beside_secret=shape.secret))
                raise ConfigError(named, f"unknown key{_suggestion(entry.key, shape)} ({entry.place})")
            values[member.field] = self.read(entry.value, member.shape, inner)
        for key, member in shape.members.items():
            if member.required and member.field not in values:
                raise ConfigError(tree.join(path, key), "is missing")
        return shape.struct(**values)

    def _list(self, node: tree.Node, shape: ListOf, path: str) -> object:
        node = self._opened(node, path, secret=shape.secret)
        if isinstance(node, tree.Scalar) and node.plain is tree.Plain.NULL:
            return ()
        if not isinstance(node, tree.Sequence):
            raise ConfigError(path, f"expected a list, got {tree.kind(node)}")
        return tuple(self.read(item, shape.item, tree.join(path, n)) for n, item in enumerate(node.items))

    def _table(self, node: tree.Node, shape: TableOf, path: str) -> object:
        node = self._opened(node, path, secret=shape.secret)
        if isinstance(node, tree.Scalar) and node.plain is tree.Plain.NULL:
            return ()
        if not isinstance(node, tree.Mapping):
            raise ConfigError(path, f"expected a mapping, got {tree.kind(node)}")
        rows: list[object] = []
        for entry in node.entries:
            inner = tree.join(path, quotable_key(entry.key, beside_secret=shape.secret))
            self._places[inner] = entry.place
            try:
                key = shape.key.spec.parse(entry.key)
            except ValueError as error:
                raise ConfigError(inner, f"the key {error}") from None
            rows.append(shape.struct(key, self.read(entry.value, shape.value, inner)))
        return tuple(rows)

    def _opened(self, node: tree.Node, path: str, *, secret: bool) -> tree.Node:
        """The node itself, or what a reference in its place leads to."""
        if isinstance(node, tree.Scalar) and self._references.is_reference(node):
            text = self._references.follow(node.text, path, secret=secret)
            return tree.parse_yaml(text.encode(), node.text, path)
        return node


def _suggestion(key: str, shape: Section) -> str:
    near = difflib.get_close_matches(key, shape.members, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(shape.members)}"
