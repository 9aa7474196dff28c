"""Comma-separated values with a head, as other statistics programs give them away. Pure but for the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import IO

from foundation.errors import ConfigError
from views.geo.places import clean_country
from views.instants import parse_loose_iso_ms
from views.pages.paths import normalised
from views.pages.sources.record import MAX_LINE, SAMPLED, Record
from views.pages.words import clean_title, is_page_type

COLUMNS: Mapping[str, Sequence[str]] = {
    "at": ("timestamp", "at", "date", "time", "created_at", "_creationtime"),
    "path": ("path", "url", "page", "pathname"),
    "session": ("sessionid", "session_id", "session", "visitor"),
    "referrer": ("referrer", "referer"),
    "country": ("country", "country_code"),
    "title": ("title",),
    "type": ("pagetype", "page_type", "type"),
}
"""What a column means, by the names it may have in the head (in any case). The first three are needed."""

MAX_SESSION_CHARS = 200

_MILLISECONDS_FROM = 10_000_000_000
"""A smaller number is of seconds: it would otherwise be before May 1970."""


class Table:
    """One record per row."""

    word = "csv"

    def legible(self, file: IO[bytes]) -> tuple[int, int]:
        rows = [record for _, record in islice(self.read(file, 0), SAMPLED)]
        return len(rows), sum(record is not None for record in rows)

    def read(self, file: IO[bytes], cursor: int) -> Iterator[tuple[int, Record | None]]:
        file.seek(0)
        places = _places(next(csv.reader(_lines(file)), []))
        if cursor:
            file.seek(cursor)
        rows = csv.reader(_lines(file))
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error:
                row = []
            # The reader has taken the lines of this row and no further one.
            yield file.tell(), _record(row, places)


def _lines(file: IO[bytes]) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        yield line.decode("utf-8-sig" if file.tell() == len(line) else "utf-8", "replace").replace("\0", "")


def _places(head: Sequence[str]) -> dict[str, int]:
    named = {name.strip().lower(): place for place, name in reversed(list(enumerate(head)))}
    found = {}
    for meaning, names in COLUMNS.items():
        place = next((named[name] for name in names if name in named), None)
        if place is not None:
            found[meaning] = place
    for meaning in ("at", "path", "session"):
        if meaning not in found:
            raise ConfigError("", f"the head of the file names no column {' or '.join(COLUMNS[meaning])}")
    return found


def _record(row: Sequence[str], places: Mapping[str, int]) -> Record | None:
    said = {meaning: row[place].strip() if place < len(row) else "" for meaning, place in places.items()}
    at_ms, path, session = _instant(said["at"]), normalised(said["path"]), said["session"]
    if at_ms is None or path is None or not session:
        return None
    return Record(
        at_ms,
        path,
        session_id=session[:MAX_SESSION_CHARS],
        ip=session[:MAX_SESSION_CHARS],
        referrer=said.get("referrer") or None,
        country=clean_country(said.get("country", "")),
        title=clean_title(said.get("title", "")),
        page_type=said["type"] if is_page_type(said.get("type", "")) else None,
    )


def _instant(text: str) -> int | None:
    """Of milliseconds or seconds since 1970, or ISO 8601."""
    number = text.partition(".")[0]
    if number.isdecimal() and number.isascii() and len(number) <= 15:
        return int(number) if int(number) >= _MILLISECONDS_FROM else int(number) * 1000
    return parse_loose_iso_ms(text)
