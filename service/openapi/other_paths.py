"""What administrators, monitoring, other instances and LiveKit ask."""

from __future__ import annotations

from service.openapi.words import (
    ACTIVITY,
    ANYTHING,
    COUNT,
    FLAG,
    HTML,
    INSTANT,
    JSON,
    NOTHING,
    TEXT,
    Schema,
    each,
    in_types,
    maybe,
    one_of,
    op,
    page,
    query,
    ref,
    struct,
)

_PAGE = (
    query("start", {"type": "integer", "minimum": 0, "maximum": 1_000_000}),
    query("count", {"type": "integer", "minimum": 0, "maximum": 100}),
)
_STATE = query("state", one_of("pending", "accepted", "rejected"))
_CHOICE = (query("host", TEXT), query("reason", TEXT))
_NUMBER = query("page", {"type": "integer", "minimum": 1, "maximum": 999_999})


def _inbox(name: str) -> Schema:
    return op(
        name,
        "An instance says something: 204 applied, 202 dropped with X-Reason",
        who="signed",
        body=ANYTHING,
        body_type=ACTIVITY,
        s202=None,
        s204=None,
    )


def _document(name: str, summary: str, *, numbered: bool = False) -> Schema:
    """A browser gets a page where it asks for HTML first."""
    queries = [_NUMBER] if numbered else []
    return op(name, summary, queries=queries, s200=in_types(ANYTHING, ACTIVITY, HTML))


ADMIN_PATHS: dict[str, Schema] = {
    "GET /api/v1/openapi.json": op("openapi", "This document", s200=ANYTHING),
    "GET /api/v1/server/debug": op(
        "debug", "The caller's address as we see it", who="admin", s200=struct({"ip": TEXT, "hint": maybe(TEXT)})
    ),
    "POST /api/v1/server/debug/run-command": op(
        "runCommand", "One maintenance step, now", who="admin", body=struct({"command": TEXT}), s204=None
    ),
    "GET /api/v1/server/following": op(
        "following", "Whom we follow", who="admin", queries=[*_PAGE, _STATE], s200=page(ref("Follow"))
    ),
    "POST /api/v1/server/following": op(
        "follow",
        "Ask hosts whether we may follow them",
        who="admin",
        body=struct({"hosts": {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 50}}),
        s204=None,
        s502=in_types(ref("Problem"), "application/problem+json"),
    ),
    "DELETE /api/v1/server/following/{handle}": op("unfollow", "Follow no longer", who="admin", s204=None),
    "GET /api/v1/server/followers": op(
        "followers", "Who follows us", who="admin", queries=[*_PAGE, _STATE], s200=page(ref("Follow"))
    ),
    "DELETE /api/v1/server/followers/{handle}": op("removeFollower", "End a follow of us", who="admin", s204=None),
    "GET /api/v1/server/peers": op("peers", "Every known host", who="admin", s200=page(ref("Peer"))),
    "POST /api/v1/server/peers/{host}/{verdict}": op(
        "judgePeer", "Block a host, or allow it, or take that back", who="admin", s204=None
    ),
    "GET /api/v1/server/quarantine": op(
        "refusals", "What was not taken, and why", who="admin", queries=_CHOICE[:1], s200=page(ref("Refusal"))
    ),
    "DELETE /api/v1/server/quarantine": op(
        "dropRefusals", "Forget it", who="admin", queries=_CHOICE, s200=struct({"dropped": COUNT})
    ),
    "POST /api/v1/server/quarantine/replay": op(
        "replayRefusals",
        "Judge it again by the rules of now",
        who="admin",
        queries=_CHOICE,
        body=NOTHING,
        body_needed=False,
        s200=struct({"applied": COUNT, "dropped": COUNT, "left": COUNT}),
    ),
    "GET /api/v1/server/undelivered": op(
        "undelivered", "What peers do not take", who="admin", queries=_CHOICE[:1], s200=page(ANYTHING)
    ),
    "POST /api/v1/server/peers/{host}/undelivered/{verdict}": op(
        "judgeUndelivered",
        "Try it again, or give it up",
        who="admin",
        queries=[query("id", TEXT)],
        s200=struct({"changed": COUNT}),
    ),
    "GET /api/v1/server/now": op("now", "Who watches what at this moment", who="admin", s200=ref("Now")),
    "GET /api/v1/server/inbox": op(
        "inboxVerdicts",
        "What was taken at the inbox, and what was not, by reason",
        who="admin",
        s200=struct(
            {
                "accepted": COUNT,
                "refused": {"type": "object", "additionalProperties": COUNT},
                "since": each(INSTANT),
                "asOf": INSTANT,
            }
        ),
    ),
    "GET /api/v1/server/configuration": op(
        "configuration",
        "What is in force, without secrets",
        who="admin",
        s200=struct(
            {
                "source": maybe(TEXT),
                "total": COUNT,
                "data": each(struct({"key": TEXT, "value": TEXT, "usual": FLAG})),
            }
        ),
    ),
    "GET /api/v1/server/doctor": op("doctor", "What is wrong with this instance", who="admin", s200=ANYTHING),
    "GET /api/v1/server/webhooks": op("webhooks", "How each receiver does", who="admin", s200=page(ANYTHING)),
    "POST /api/v1/server/webhooks/test": op(
        "testWebhooks",
        "Send each of them a test",
        who="admin",
        body=struct({}, hook=TEXT),
        body_needed=False,
        s200=page(ANYTHING),
    ),
    "GET /healthz": op("healthz", "The process answers", s200=struct({"status": TEXT})),
    "GET /readyz": {
        "operationId": "readyz",
        "summary": "Its stores answer too",
        "responses": {
            status: {"description": said, "content": {JSON: {"schema": struct({"status": TEXT}, causes=ANYTHING)}}}
            for status, said in (("200", "Ready"), ("503", "Not ready; causes says why"))
        },
    },
    "GET /metrics": op(
        "metrics", "Prometheus; from loopback, or with an admin token", s200=in_types(TEXT, "text/plain")
    ),
    "POST /livekit/webhook": op(
        "livekitWebhook", "LiveKit says what happened in a room", who="signed", body=ANYTHING, s200=ANYTHING, s204=None
    ),
}

FEDERATION_PATHS: dict[str, Schema] = {
    "POST /inbox": _inbox("sharedInbox"),
    "POST /accounts/{name}/inbox": _inbox("accountInbox"),
    "POST /video-channels/{name}/inbox": _inbox("channelInbox"),
    "POST /accounts/{name}/outbox": op(
        "postToOutbox",
        "A View of a host application: 201 with its id in Location, 200 when it was counted already",
        who="host",
        body=struct({"type": one_of("View"), "object": TEXT, "viewer": TEXT}, expires=TEXT),
        body_type=ACTIVITY,
        s200=ANYTHING,
        s201=None,
    ),
    "GET /accounts/{name}": _document("account", "The instance actor, or the owner"),
    "GET /video-channels/{name}": _document("channelActor", "A channel"),
    "GET /accounts/{name}/outbox": _document("accountOutbox", "Totals, then announces", numbered=True),
    "GET /accounts/{name}/followers": _document("accountFollowers", "Who follows us", numbered=True),
    "GET /accounts/{name}/following": _document("accountFollowing", "Whom we follow", numbered=True),
    "GET /video-channels/{name}/outbox": _document("channelOutbox", "Empty"),
    "GET /video-channels/{name}/followers": _document("channelFollowers", "Empty"),
    "GET /video-channels/{name}/following": _document("channelFollowing", "Empty"),
    "GET /videos/watch/{uuid}": _document("videoObject", "A Video of ours"),
    "GET /w/{uuid}": _document("videoObjectShort", "The same by its short name"),
    "POST /w/{uuid}": op(
        "videoStatisticsForm",
        "The page of a video with its statistics, or one of them as CSV, for a token in a form",
        body=struct({"token": TEXT}, show=TEXT),
        body_type="application/x-www-form-urlencoded",
        s200={"content": {HTML: {"schema": TEXT}, "text/csv": {"schema": TEXT}}},
        s403={"content": {HTML: {"schema": TEXT}, "application/problem+json": {"schema": ANYTHING}}},
    ),
    "GET /videos/watch/{uuid}/announces": _document("videoAnnounces", "Who shared it", numbered=True),
    "GET /videos/watch/{uuid}/announces/1": _document("videoAnnounce", "The Announce"),
    "GET /videos/watch/{uuid}/likes": _document("videoLikes", "Empty"),
    "GET /videos/watch/{uuid}/dislikes": _document("videoDislikes", "Empty"),
    "GET /videos/watch/{uuid}/comments": _document("videoComments", "Empty"),
    "GET /videos/local-viewer/{uuid}": _document("watchAction", "What somebody here watched of a remote video"),
    "GET /.well-known/webfinger": op(
        "webfinger",
        "RFC 7033",
        queries=[query("resource", TEXT, needed=True)],
        s200=in_types(struct({"subject": TEXT, "links": each(ANYTHING)}), "application/jrd+json"),
    ),
    "GET /.well-known/host-meta": op("hostMeta", "RFC 6415", s200=in_types(TEXT, "application/xrd+xml")),
    "GET /.well-known/nodeinfo": op("nodeinfoIndex", "Where NodeInfo is", s200=struct({"links": each(ANYTHING)})),
    "GET /nodeinfo/{version}": op(
        "nodeinfo", "NodeInfo 2.0 and 2.1", s200=struct({"version": TEXT, "software": ANYTHING, "metadata": ANYTHING})
    ),
}
