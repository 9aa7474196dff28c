"""Heartbeats of players beside a bare JSON handler: what counting costs on top of HTTP.

The bare handlers decode the body with msgspec and answer 204, one on a fixed path, one on a path with an id in it. The
service runs with everything on, journal included; 20 000 viewers watch one live video and none is due to be a view (a
viewer sends 720 heartbeats an hour and counts once).
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

import msgspec
from aiohttp import web

from benchmarks.house import MANY, listening, running_service
from benchmarks.load import CONNECTIONS, Load, NextRequest, Row, answer_questions, compare, post, serving
from service.config import Views
from views.model import VideoDraft

VIEWERS = 20_000
VIDEO = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
GOAL = 0.6
WARM_UP_S = 5.0
"""Until all viewers have come and everybody who is told of that has heard it: that is not what a heartbeat costs."""
HEADERS = {"Host": "localhost", "Content-Type": "application/json; charset=UTF-8", "X-Forwarded-For": "192.0.2.1"}
LONGEST_MS = 3_600_000


class Body(msgspec.Struct):
    currentTime: int  # noqa: N815
    sessionId: str  # noqa: N815


_decode = msgspec.json.Decoder(Body).decode


async def bare(request: web.Request) -> web.Response:
    """The least a JSON endpoint does."""
    _decode(await request.read())
    return web.Response(status=204)


async def serve(pipe: Connection) -> None:
    app = web.Application()
    app.router.add_post("/bare", bare)
    app.router.add_post("/api/v1/videos/{id}/views", bare)
    views = Views(rate_limit=MANY, sessions_per_address=None, count_view_after_ms=LONGEST_MS)
    async with running_service(views) as service, listening(app) as bare_port:
        await service.views.catalog.put_local(VideoDraft(VIDEO, "Benchmark", 0, is_live=True))
        pipe.send((bare_port, service.config.listen.port))
        await answer_questions(pipe)


def connection(path: str, number: int) -> NextRequest:
    """Each connection speaks for every 32nd viewer, in turns; positions move as time does."""
    started = time.monotonic()
    viewer = number

    def next_request() -> bytes:
        nonlocal viewer
        viewer = (viewer + CONNECTIONS) % VIEWERS
        body = b'{"currentTime":%d,"sessionId":"session-of-viewer-%d"}' % (time.monotonic() - started, viewer)
        return post(path, body, HEADERS)

    return next_request


def run(seconds: float, rounds: int) -> list[Row]:
    hot = f"/api/v1/videos/{VIDEO}/views"
    with serving(serve) as server:
        bare_port, port = server.ready
        fixed, dynamic, ours = compare(
            server,
            [
                Load("bare handler, fixed path", bare_port, lambda number: connection("/bare", number)),
                Load("bare handler, path with an id", bare_port, lambda number: connection(hot, number)),
                Load("heartbeat", port, lambda number: connection(hot, number)),
            ],
            seconds,
            rounds,
            WARM_UP_S,
        )
    return [
        Row(
            ours.name,
            f"{ours.text} ({ours.per_round(dynamic)})",
            f"{dynamic.name}: {dynamic.text}",
            ours.share_of(dynamic),
            GOAL,
        ),
        Row(ours.name, ours.text, f"{fixed.name}: {fixed.text}", ours.share_of(fixed)),
    ]
