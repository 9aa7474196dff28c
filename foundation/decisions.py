"""One line of the log for each decision of an administrator: what, about whom, by which token, and by what way."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass

from aiohttp import web

from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.web import bearer_token

COMMAND_LINE_AGENT = "fediviews-cli"
"""What the command line calls itself when it asks a service."""

_LONGEST = 300

_log = logging.getLogger("fediviews.decisions")


class Way(enum.StrEnum):
    DASHBOARD = "the dashboard"
    REST = "REST"
    COMMAND_LINE = "the command line"


@dataclass(frozen=True, slots=True)
class By:
    """``name`` is that of the token, never the token."""

    name: str
    way: Way


def by_request(request: web.Request, tokens: TokenBook) -> By:
    """Who asks a route that is for administrators."""
    principal = tokens.require(bearer_token(request), Role.ADMIN)
    commanded = request.headers.get("User-Agent", "").startswith(COMMAND_LINE_AGENT)
    name = "?" if isinstance(principal, Refused) else principal.name
    return By(name, Way.COMMAND_LINE if commanded else Way.REST)


def decided(by: By, what: str, about: str, came: str = "") -> None:
    """``came``: what came of it, where that can be counted."""
    outcome = f" ({came})" if came else ""
    _log.info("%s %s%s: by token %s over %s", what, about[:_LONGEST], outcome, by.name, by.way)
