"""The ActivityPub documents of our videos and of what hangs below them. Pure.

The Video object holds what PeerTube 6.3 refuses to do without (found by leaving fields out one at a time), and what it
shows to people; nothing we do not know.
"""

from __future__ import annotations

from typing import Any

from federation.documents import InstanceIdentity
from federation.vocabulary.build import Document
from foundation.clock import iso_ms
from outbox.names import audience, icon_url
from views.model import Video

ICON_WIDTH, ICON_HEIGHT = 280, 157
"""PeerTube's thumbnail size; its importer insists on a JPEG of stated size."""

NAME_MIN, NAME_MAX = 3, 120
CONTENT_MIN, CONTENT_MAX = 3, 10_000
PUBLISHED = 1
"""VideoState.PUBLISHED of PeerTube."""


def video_object(identity: InstanceIdentity, video: Video) -> Document:
    """The Video object of a public or unlisted video of ours, without ``@context``."""
    to, cc = audience(identity, video)
    document: Document = {
        "to": to,
        "cc": cc,
        "type": "Video",
        "id": video.url,
        "name": _fitting(video.name, NAME_MIN, NAME_MAX),
        "duration": f"PT{max(0, video.duration_s)}S",
        "uuid": video.uuid,
        "views": video.views,
        "sensitive": False,
        "waitTranscoding": False,
        "state": PUBLISHED,
        "isLiveBroadcast": video.is_live,
        "liveSaveReplay": False,
        "permanentLive": video.is_live,
        "commentsEnabled": False,
        "commentsPolicy": 2,
        "downloadEnabled": False,
        "published": iso_ms(video.published_ms),
        "updated": iso_ms(video.updated_ms),
        "tag": [],
        "icon": [_icon(identity)],
        "url": [{"type": "Link", "mediaType": "text/html", "href": video.page_url or video.url}],
        "likes": f"{video.url}/likes",
        "dislikes": f"{video.url}/dislikes",
        "shares": f"{video.url}/announces",
        "comments": f"{video.url}/comments",
        "attributedTo": [
            {"type": "Person", "id": identity.owner_url},
            {"type": "Group", "id": identity.channel_url(video.channel)},
        ],
    }
    if video.is_live:
        document["latencyMode"] = 1
    if video.description and len(video.description) >= CONTENT_MIN:
        document["mediaType"] = "text/markdown"
        document["content"] = video.description[:CONTENT_MAX]
    return document


def _icon(identity: InstanceIdentity) -> dict[str, Any]:
    return {
        "type": "Image",
        "url": icon_url(identity),
        "mediaType": "image/jpeg",
        "width": ICON_WIDTH,
        "height": ICON_HEIGHT,
    }


def _fitting(name: str, shortest: int, longest: int) -> str:
    """PeerTube takes names of 3 to 120 characters and nothing else."""
    return name[:longest].ljust(shortest, "_")
