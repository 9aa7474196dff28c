"""REST of following, with PeerTube's paths and bodies; for administrators only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from federation.documents import InstanceIdentity
from federation.peers import Direction, FollowRecord, FollowState, Peers
from federation.vocabulary import read_json
from foundation import problems
from foundation.clock import iso_ms
from foundation.decisions import by_request, decided
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.web import bearer_token, read_body
from outbox.following import Following
from outbox.waiting import available

MAX_HOSTS = 50
"""Hosts that one request can ask to follow."""
MAX_COUNT = 100
MAX_BODY_BYTES = 20_000
_SCORE = 10_000
"""PeerTube's score of a follower that never failed."""


class FollowRoutes:
    """``GET`` answers ``{total, data}``; the data are PeerTube's follow objects as far as we have them."""

    def __init__(self, *, identity: InstanceIdentity, tokens: TokenBook, peers: Peers, following: Following) -> None:
        self._identity = identity
        self._tokens = tokens
        self._peers = peers
        self._following = following

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/v1/server/following", available(self.list_following))
        router.add_post("/api/v1/server/following", available(self.follow))
        router.add_delete("/api/v1/server/following/{handle}", available(self.unfollow))
        router.add_get("/api/v1/server/followers", available(self.list_followers))
        router.add_delete("/api/v1/server/followers/{handle}", available(self.remove_follower))

    async def list_following(self, request: web.Request) -> web.StreamResponse:
        page = self._page(request)
        if isinstance(page, Refused):
            return problems.refused(page)
        records = self._peers.following(page[2])
        return self._listed(list(records[page[0] : page[0] + page[1]]), len(records))

    async def list_followers(self, request: web.Request) -> web.StreamResponse:
        page = self._page(request)
        if isinstance(page, Refused):
            return problems.refused(page)
        return self._listed(*self._peers.list_followers(page[0], page[1]))

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """204 when every host was asked; else the first refusal, and the others were asked all the same."""
        refusal = self._judge(request)
        if refusal is not None:
            return problems.refused(refusal)
        body = await read_body(request, MAX_BODY_BYTES)
        names = body if isinstance(body, Refused) else _names(read_json(body))
        if isinstance(names, Refused):
            return problems.refused(names)
        first: Refused | None = None
        for name in names:
            outcome = await self._following.follow_host(name)
            if not isinstance(outcome, Refused):
                decided(by_request(request, self._tokens), "follow", name.strip())
            else:
                first = first or Refused(outcome.reason, f"{name[:100]}: {outcome.detail}", outcome.status)
        return web.Response(status=204) if first is None else problems.refused(first)

    async def unfollow(self, request: web.Request) -> web.StreamResponse:
        return await self._end(request, self._following.unfollow, "unfollow")

    async def remove_follower(self, request: web.Request) -> web.StreamResponse:
        return await self._end(request, self._following.remove_follower, "remove follower")

    async def _end(self, request: web.Request, end: Callable[[str], Awaitable[bool]], what: str) -> web.StreamResponse:
        refusal = self._judge(request)
        if refusal is not None:
            return problems.refused(refusal)
        handle = request.match_info["handle"]
        ended = await end(handle)
        if ended:
            decided(by_request(request, self._tokens), what, handle)
        return web.Response(status=204) if ended else problems.problem(404, "There is no such follow.")

    def _judge(self, request: web.Request) -> Refused | None:
        principal = self._tokens.require(bearer_token(request), Role.ADMIN)
        return principal if isinstance(principal, Refused) else None

    def _page(self, request: web.Request) -> tuple[int, int, FollowState | None] | Refused:
        refusal = self._judge(request)
        if refusal is not None:
            return refusal
        start, count = _number(request.query.get("start", "0")), _number(request.query.get("count", "15"))
        if start is None or count is None or count > MAX_COUNT:
            return Refused("bad_page", f"start and count must be numbers from 0, count at most {MAX_COUNT}")
        state = request.query.get("state")
        if state is None:
            return start, count, None
        try:
            return start, count, FollowState(state)
        except ValueError:
            return Refused("bad_state", "state must be pending, accepted or rejected")

    def _listed(self, records: list[FollowRecord], total: int) -> web.Response:
        return web.json_response({"total": total, "data": [self._follow(record) for record in records]})

    def _follow(self, record: FollowRecord) -> dict[str, Any]:
        remote, ours = _actor(record.actor, record.host), _actor(record.object, self._identity.authority)
        is_in = record.direction is Direction.IN
        return {
            "id": record.id,
            "follower": remote if is_in else ours,
            "following": ours if is_in else remote,
            "score": _SCORE,
            "state": record.state.value,
            "createdAt": iso_ms(record.created_ms),
            "updatedAt": iso_ms(record.updated_ms),
        }


def _actor(url: str, host: str) -> dict[str, str]:
    return {"url": url, "name": url.rstrip("/").rpartition("/")[2], "host": host}


def _names(members: Any) -> list[str] | Refused:
    if isinstance(members, Refused):
        return members
    names: list[Any] = []
    for key in ("hosts", "handles"):
        given = members.get(key) if isinstance(members, dict) else None
        names += given if isinstance(given, list) else []
    if not 1 <= len(names) <= MAX_HOSTS or not all(isinstance(name, str) and 0 < len(name) <= 500 for name in names):
        return Refused("bad_hosts", f"hosts must be a list of 1 to {MAX_HOSTS} host names")
    return names


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None
