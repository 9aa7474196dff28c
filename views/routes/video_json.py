"""A video as PeerTube's API shows it: the keys that players, apps and host applications read. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from foundation.clock import iso_ms
from views.ids import short_uuid
from views.last_known import Known
from views.model import Privacy, Video
from views.shown import Shown

_PRIVACIES = {
    Privacy.PUBLIC: {"id": 1, "label": "Public"},
    Privacy.UNLISTED: {"id": 2, "label": "Unlisted"},
    Privacy.PRIVATE: {"id": 3, "label": "Private"},
}
"""PeerTube's numbers of privacies."""


def video_json(video: Video, known: Known, account: str) -> dict[str, Any]:
    """``known`` is the number shown (``asOf`` says of when), ``account`` the account above our own channels."""
    channel = _last_segment(video.channel)
    owner = account if video.local else _last_segment(video.owner) or channel
    return {
        "id": video.number,
        "uuid": video.uuid,
        "shortUUID": short_uuid(video.uuid),
        "url": video.url,
        "pageUrl": video.page_url,
        "name": video.name,
        "description": video.description,
        "duration": video.duration_s,
        "isLive": video.is_live,
        "isLocal": video.local,
        "views": video.views,
        "viewers": known.shown.viewers,
        "asOf": iso_ms(known.as_of_ms),
        "createdAt": iso_ms(video.published_ms),
        "publishedAt": iso_ms(video.published_ms),
        "updatedAt": iso_ms(video.updated_ms),
        "privacy": _PRIVACIES[video.privacy],
        "state": {"id": 1, "label": "Published"},
        "channel": {"name": channel, "displayName": channel, "host": video.origin},
        "account": {"name": owner, "displayName": owner, "host": video.origin},
    }


def viewers_json(shown: Shown, as_of_ms: int, *, breakdown: bool, explain: bool = False) -> dict[str, Any]:
    """The number shown; with ``breakdown`` also what it is made of; ``explain`` adds the origin's total and Y."""
    body: dict[str, Any] = {"viewers": shown.viewers}
    if breakdown:
        body |= {"local": shown.local, "peers": shown.peers, "unverified": shown.unverified}
    body["asOf"] = iso_ms(as_of_ms)
    if breakdown and explain:
        body["explain"] = {
            "remoteTotal": shown.remote_total,
            "oursInRemoteTotal": shown.ours,
            "elsewhere": shown.remote,
        }
    return body


def _last_segment(actor: str) -> str:
    """The name in an actor's URL; our own channels are names already."""
    if "/" not in actor:
        return actor
    try:
        return urlsplit(actor).path.rstrip("/").rpartition("/")[2]
    except ValueError:
        return actor
