"""Access logs in the common and combined formats, as Apache and nginx write them. Pure but for the file."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import IO

from foundation.addresses import parse_address
from views.pages.paths import normalised
from views.pages.sources.record import MAX_LINE, SAMPLED, Record

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    rf"(?:\S+ )?(\S+) \S+ \S+ \[([^\]]{{20,32}})\] {_QUOTED} (\d{{3}}) (?:\d+|-)(?: {_QUOTED} {_QUOTED})?"
)
"""A virtual host may stand in front."""

_TIME = re.compile(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})", re.ASCII)
_MONTHS = {"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * at : 3 * at + 3]: at + 1 for at in range(12)}
_NO_PAGE = re.compile(
    r"\.(?:avif|bmp|css|eot|gif|gz|ico|jpe?g|js|json|m4a|m4s|m3u8|map|mjs|mp3|mp4|mpd|ogg|otf|pdf|png|svg|tar|ts|ttf|txt"
    r"|wasm|webm|webmanifest|webp|woff2?|xml|zip)\Z",
    re.ASCII | re.IGNORECASE,
)


class AccessLog:
    """One record per line: what was answered to a GET with 2xx or 304, is a page by its name, and not a robot's."""

    word = "log"

    def __init__(self, is_crawler: Callable[[str], bool]) -> None:
        self._is_crawler = is_crawler

    def legible(self, file: IO[bytes]) -> tuple[int, int]:
        file.seek(0)
        lines = [line for line in islice(iter(partial(file.readline, MAX_LINE), b""), SAMPLED) if line.strip()]
        return len(lines), sum(_LINE.match(line.decode("utf-8", "replace")) is not None for line in lines)

    def read(self, file: IO[bytes], cursor: int) -> Iterator[tuple[int, Record | None]]:
        file.seek(cursor)
        while line := file.readline(MAX_LINE):
            yield file.tell(), parse_line(line.decode("utf-8", "replace"), self._is_crawler)


def parse_line(line: str, is_crawler: Callable[[str], bool]) -> Record | None:
    """The page view of a line; None when it is none."""
    match = _LINE.match(line)
    if match is None:
        return None
    ip, time, request, status, referrer, agent = match.groups()
    at_ms = parse_time(time)
    method, _, target = request.partition(" ")
    path = normalised(target.rpartition(" HTTP/")[0] or target)
    if at_ms is None or method != "GET" or path is None or parse_address(ip) is None:
        return None
    if not (status.startswith("2") or status == "304") or _NO_PAGE.search(path.text) or is_crawler(agent or ""):
        return None
    return Record(
        at_ms, path, ip=ip, user_agent="" if agent in (None, "-") else agent, referrer=referrer if referrer else None
    )


def parse_time(text: str) -> int | None:
    """Unix milliseconds of ``10/Oct/2000:13:55:36 -0700``."""
    match = _TIME.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    day, month, year, hour, minute, second = int(match[1]), _MONTHS[match[2]], *map(int, match.group(3, 4, 5, 6))
    if not 1970 <= year <= 9998 or not 1 <= day <= calendar.monthrange(year, month)[1] or hour > 23 or minute > 59:
        return None
    behind_s = (int(match[8]) * 60 + int(match[9])) * 60 * (1 if match[7] == "+" else -1)
    at_s = calendar.timegm((year, month, day, hour, minute, second)) - behind_s
    return at_s * 1000 if at_s >= 0 else None
