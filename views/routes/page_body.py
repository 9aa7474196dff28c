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

The content type means nothing: ``sendBeacon`` sends text. ``null`` counts as absent; unknown fields are ignored.
"""

from __future__ import annotations

from typing import Any

import msgspec

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


class PageReport(msgspec.Struct, frozen=True, gc=False):
    """One valid report of a view or a heartbeat."""

    site: str
    path: Path
    session_id: str | None = None
    page_type: str | None = None
    title: str | None = None
    referrer: str | None = None
    leave: bool = False


_decode = msgspec.json.Decoder(_Body).decode


def parse_page_report(raw: bytes) -> PageReport | BadBody:
    """The report in a request's body."""
    try:
        body = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return BadBody({"body": "Should be a JSON object in UTF-8, without halves of surrogate pairs"})
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
    if body.leave is not None and not isinstance(body.leave, bool):
        bad["leave"] = "Should be true or false"
    if bad or path is None:
        return BadBody(bad)
    title = None if body.title is None else clean_title(body.title)
    return PageReport(body.site, path, session_id, body.page_type, title, body.referrer, body.leave is True)
