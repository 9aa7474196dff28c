"""What a sitemap or a feed says a site has published. Pure; the XML of strangers is bounded and without entities.

Sitemaps (sitemaps.org 0.9) and indexes of them, RSS 2.0, RSS 1.0, Atom (RFC 4287).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

# Not the etree parsers: here every declaration of a document type ends the parsing, so there are no entities to expand.
from xml.parsers import expat

from foundation.urls import authority
from views.pages.catalog import MAX_PAGES, Published
from views.pages.paths import normalised
from views.pages.words import clean_title

MAX_BYTES = 10_000_000
"""Of one document, also of what a compressed one holds."""

MAX_CHILDREN = 50
_MAX_DEPTH = 32
_MAX_TEXT = 4_096
_GZIP = b"\x1f\x8b"


class BadFeedError(Exception):
    """Neither a sitemap nor a feed; the text says why, in our words."""


@dataclass(slots=True)
class Feed:
    """Pages of the site itself, and further sitemaps that an index names."""

    pages: list[Published] = field(default_factory=list)
    children: list[str] = field(default_factory=list)


def read_feed(body: bytes, url: str, host: str) -> Feed:
    """What the document at ``url`` says of the site ``host``; what it says of others is left out. Raises
    BadFeedError."""
    reader = _Reader(url, host)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(_unpacked(body), True)
    except (expat.ExpatError, ValueError, UnicodeError) as problem:
        raise BadFeedError("it is no XML that can be read") from problem
    if not reader.known:
        raise BadFeedError("it is neither a sitemap nor a feed")
    return reader.feed


def type_of_sitemap(url: str) -> str:
    """What the pages of a sitemap are, by its name, as WordPress and its plugins give them; else pages."""
    name = url.rpartition("/")[2].lower()
    return "post" if "post" in name and "posts-page" not in name and "page-sitemap" not in name else "page"


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(_GZIP):
        return body
    unpacking = zlib.decompressobj(wbits=31)
    try:
        raw = unpacking.decompress(body, MAX_BYTES)
    except zlib.error as problem:
        raise BadFeedError("it cannot be decompressed") from problem
    if unpacking.unconsumed_tail:
        raise BadFeedError(f"it holds more than {MAX_BYTES} bytes")
    return raw


def _refuse_doctype(*_: object) -> None:
    raise BadFeedError("it declares a document type, which may be made to explode")


_ENTRIES = frozenset({"url", "sitemap", "item", "entry"})
_ROOTS = frozenset({"urlset", "sitemapindex", "rss", "RDF", "feed"})


class _Reader:
    def __init__(self, url: str, host: str) -> None:
        self.feed = Feed()
        self.known = False
        self._url = url
        self._hosts = frozenset({host, f"www.{host}", host.removeprefix("www.")})
        self._type = type_of_sitemap(url)
        self._open: list[str] = []
        self._entry: dict[str, str] = {}

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if not self._open:
            self.known = local in _ROOTS
        self._open.append(local)
        if len(self._open) > _MAX_DEPTH:
            raise BadFeedError("it is nested too deep")
        if local in _ENTRIES:
            self._entry = {}
        elif local == "link" and self._parent() == "entry" and attributes.get("rel", "alternate") == "alternate":
            self._entry.setdefault("link", attributes.get("href", ""))

    def text(self, text: str) -> None:
        local = self._open[-1] if self._open else ""
        if local in ("loc", "link", "title") and self._parent() in _ENTRIES:
            said = self._entry.get(local, "")
            self._entry[local] = (said + text)[:_MAX_TEXT]

    def end(self, name: str) -> None:
        local = self._open.pop()
        if local == "sitemap":
            if len(self.feed.children) < MAX_CHILDREN:
                self.feed.children.append(urljoin(self._url, self._entry.get("loc", "").strip()))
        elif local in _ENTRIES:
            self._publish("post" if local in ("item", "entry") else self._type)

    def _parent(self) -> str:
        return self._open[-2] if len(self._open) > 1 else ""

    def _publish(self, page_type: str) -> None:
        said = (self._entry.get("loc") or self._entry.get("link") or "").strip()
        try:
            url = urljoin(self._url, said)
        except ValueError:
            return
        path = normalised(url) if said and authority(url) in self._hosts else None
        if path is not None and len(self.feed.pages) < MAX_PAGES:
            title = clean_title(self._entry.get("title", ""))
            self.feed.pages.append(Published(path, title, "home" if path.text == "/" else page_type))
