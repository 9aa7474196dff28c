"""The proxy that the README shows hands everything to the service that browsers and other servers ask it for."""

from __future__ import annotations

import re

from docs.documents import README, blocks

from service.app import Service

KEPT_INSIDE = {"/metrics", "/healthz", "/readyz", "/"}
"""What the README says to leave out, the health check, which a proxy on the same machine asks by itself, and the front
page, which is the application's."""

NOWHERE = "/{path}"
"""What answers for everything that is not there."""


def block() -> str:
    return next(block.text for block in blocks(README) if block.language == "nginx")


def locations(text: str) -> list[tuple[str, str, str]]:
    """Sign, pattern and body of each; the dashboard's is there for who wants it, commented out."""
    uncommented = re.sub(r"^(\s*)# (?=location )", r"\1", text, flags=re.MULTILINE)
    found = re.findall(
        r"^\s*location (?:([~=]) )?(\S+) \{(.*?)\}\s*(?:#[^\n]*)?$", uncommented, re.MULTILINE | re.DOTALL
    )
    return [(sign, pattern, body) for sign, pattern, body in found]


def chosen(path: str, known: list[tuple[str, str, str]]) -> str:
    """The body of the location that nginx takes: exact, else the first expression, else the longest beginning."""
    for sign, pattern, body in known:
        if sign == "=" and pattern == path:
            return body
    for sign, pattern, body in known:
        if sign == "~" and re.search(pattern, path):
            return body
    beginnings = [(len(pattern), body) for sign, pattern, body in known if not sign and path.startswith(pattern)]
    return max(beginnings)[1]


async def test_every_route_is_let_through(running: Service) -> None:
    known = locations(block())
    resources = {route.resource.canonical for route in running.app.router.routes() if route.resource is not None}
    paths = {re.sub(r"\{\w+\}", "x", canonical) for canonical in resources - {NOWHERE}} - KEPT_INSIDE
    assert {path for path in paths if "proxy_pass http://fediviews;" not in chosen(path, known)} == set()


def test_sockets_may_upgrade_and_say_who_asks() -> None:
    body = chosen("/socket.io/", locations(block()))
    for name in ("Upgrade", "Connection", "Host", "X-Forwarded-For"):
        assert f"proxy_set_header {name} $" in body, name


def test_what_is_not_ours_stays_with_the_application() -> None:
    for path in ("/", "/shop", "/livekit", "/static/app.js"):
        assert "http://127.0.0.1:3000" in chosen(path, locations(block())), path
