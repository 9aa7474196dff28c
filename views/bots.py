"""Programs that are no audience: crawlers by what they call themselves, and pages that a browser fetches ahead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from multidict import istr

LOOKED_AT = 256
"""Characters of a User-Agent that are looked at, so that no long one costs more."""

REMEMBERED = 8_192

NOT_BOTS = frozenset({"http-library", "browser-automation", "feed-reader", "social-preview"})
"""Kinds on the list that people watch through: apps built on an HTTP library, browsers that somebody drives for a test,
feed readers and chat programs with a browser inside."""

_AT_ONCE = 100

# In the form in which aiohttp's headers look names up without folding them each time.
_AHEAD = tuple(istr(name) for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))


class Crawlers:
    """Knows crawlers by the list of `crawler-user-agents` (PyPI), but for the kinds in ``NOT_BOTS``."""

    def __init__(self) -> None:
        # Half a megabyte of JSON, read where it is wanted only.
        from crawleruseragents import CRAWLER_USER_AGENTS_DATA

        self._patterns = tuple(_compiled(CRAWLER_USER_AGENTS_DATA))
        self._known = lru_cache(maxsize=REMEMBERED)(self._matches)

    def __call__(self, user_agent: str) -> bool:
        """Whether this User-Agent names a crawler. Below a millisecond, and nothing when seen before."""
        return user_agent != "" and self._known(user_agent[:LOOKED_AT])

    def _matches(self, user_agent: str) -> bool:
        return any(pattern.search(user_agent) for pattern in self._patterns)


def _compiled(entries: Iterable[Mapping[str, object]]) -> Iterator[re.Pattern[str]]:
    kept: list[str] = []
    for entry in entries:
        tags = entry.get("tags")
        if isinstance(tags, list) and not NOT_BOTS.isdisjoint(tags):
            continue
        kept.append(str(entry["pattern"]))
    for start in range(0, len(kept), _AT_ONCE):
        yield re.compile("|".join(kept[start : start + _AT_ONCE]))


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether a browser fetched this ahead of anybody's wish to see it.

    ``Sec-Purpose`` (WHATWG Fetch, section 3.8), its forerunners ``Purpose`` and ``X-Purpose``, and Firefox's ``X-Moz``.
    """
    for name in _AHEAD:
        if name in headers and headers[name][:40].strip().lower().startswith(("prefetch", "prerender", "preview")):
            return True
    return False
