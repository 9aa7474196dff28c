"""The bodies of reports about pages, judged field by field. Pure.

| field | rule |
|---|---|
| ``site`` | needed; a host of ``pages.sites`` |
| ``path`` | needed; any text with something in it, see ``pages.paths`` |
| ``sessionId`` | 1..200 ASCII letters, digits and ``-`` |
| ``pageType`` | 1..40 ASCII letters, digits, ``-`` and ``_`` |
| ``title`` | a text; white space folded, cut at 200 characters |
| ``referrer`` | a text; what is no web address counts as none |
| ``leave`` | true in a heartbeat: the visitor is gone now |
| ``webdriver`` | true: a program drives the browser (``navigator.webdriver``) |

The content type means nothing: ``sendBeacon`` sends text. ``null`` counts as absent; unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from foundation.urls import authority
from views.pages.paths import Path, normalised
from views.pages.words import clean_title, is_page_type
from views.routes.report_body import BadBody
from views.sessions import is_session_id

MAX_BODY = 32_768
"""Bytes of one report; of a long path only the beginning is looked at."""

MAX_SITE_CHARS = 270


class _Body(msgspec.Struct, rename="camel", gc=False):
    site: Any = None
    path: Any = None
    session_id: Any = None
    page_type: Any = None
    title: Any = None
    referrer: Any = None
    leave: Any = None
    webdriver: Any = None


class PageReport(msgspec.Struct, frozen=True, gc=False):
    """One valid report of a view or a heartbeat."""

    site: str
    path: Path
    session_id: str | None = None
    page_type: str | None = None
    title: str | None = None
    referrer: str | None = None
    leave: bool = False
    webdriver: bool = False


_decode = msgspec.json.Decoder(_Body).decode


def parse_page_report(raw: bytes) -> PageReport | BadBody:
    """The report in a request's body."""
    try:
        body = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return BadBody({"body": "Should be a JSON object in UTF-8, without halves of surrogate pairs"})
    return _judged(body)


def parse_page_query(query: Mapping[str, str], page_url: str | None) -> PageReport | BadBody:
    """The report in a query of the same names; ``page_url`` says site and path where the query does not."""
    body = _Body(
        site=query.get("site") or authority(page_url or ""),
        path=query.get("path") or _path_of(page_url or ""),
        session_id=query.get("sessionId"),
        page_type=query.get("pageType"),
        title=query.get("title"),
        referrer=query.get("referrer"),
        webdriver=query.get("webdriver") == "true",
    )
    return _judged(body)


def _path_of(url: str) -> str | None:
    try:
        return urlsplit(url).path or None
    except ValueError:
        return None


def _judged(body: _Body) -> PageReport | BadBody:
    bad: dict[str, str] = {}
    if not isinstance(body.site, str) or not 1 <= len(body.site) <= MAX_SITE_CHARS:
        bad["site"] = "Should be the host of a site"
    path = normalised(body.path) if isinstance(body.path, str) else None
    if path is None:
        bad["path"] = "Should be the path of a page"
    session_id = body.session_id
    if session_id is not None and not (isinstance(session_id, str) and is_session_id(session_id)):
        bad["sessionId"] = "Should have 1 to 200 ASCII letters, digits or hyphens"
    if body.page_type is not None and not is_page_type(body.page_type):
        bad["pageType"] = "Should have 1 to 40 ASCII letters, digits, hyphens or underscores"
    for name, value in (("title", body.title), ("referrer", body.referrer)):
        if value is not None and not isinstance(value, str):
            bad[name] = "Should be a text"
    for name, value in (("leave", body.leave), ("webdriver", body.webdriver)):
        if value is not None and not isinstance(value, bool):
            bad[name] = "Should be true or false"
    if bad or path is None:
        return BadBody(bad)
    title = None if body.title is None else clean_title(body.title)
    return PageReport(
        body.site, path, session_id, body.page_type, title, body.referrer, body.leave is True, body.webdriver is True
    )
