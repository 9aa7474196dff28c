"""RFC 9457 problem documents, with the members PeerTube's clients read (``error``, ``invalid-params``, ``code``)."""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from foundation.errors import Refused

CONTENT_TYPE = "application/problem+json"


def problem(
    status: int,
    detail: str,
    *,
    code: str | None = None,
    invalid_params: Mapping[str, str] | None = None,
    location: str = "body",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """An error answer. ``invalid_params`` maps a parameter's name to what is wrong with it (PeerTube 6.3's shape).

    ``type`` says no more than the status: our codes are explained in no document with an address of its own.
    """
    try:
        title = http.HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail, "error": detail}
    if code is not None:
        body["code"] = code
    if invalid_params:
        body["invalid-params"] = {
            name: {"type": "field", "msg": message, "path": name, "location": location}
            for name, message in invalid_params.items()
        }
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type=CONTENT_TYPE, headers=dict(headers or {})
    )


def invalid_params(params: Mapping[str, str], *, location: str = "body") -> web.Response:
    """400 with PeerTube's sentence: ``Incorrect request parameters: a, b``."""
    return problem(400, "Incorrect request parameters: " + ", ".join(params), invalid_params=params, location=location)


def refused(verdict: Refused) -> web.Response:
    """The answer to a refusal; ``code`` carries its reason."""
    headers = {} if verdict.retry_after_s is None else {"Retry-After": str(verdict.retry_after_s)}
    return problem(verdict.status, verdict.detail or verdict.reason, code=verdict.reason, headers=headers)
