"""What is said about a video to whom, and where its icon is."""

from __future__ import annotations

from federation.documents import InstanceIdentity
from federation.vocabulary import PUBLIC
from views.model import Privacy, Video

ICON_PATH = "/static/video-icon.jpg"


def icon_url(identity: InstanceIdentity) -> str:
    return identity.base_url + ICON_PATH


def audience(identity: InstanceIdentity, video: Video) -> tuple[list[str], list[str]]:
    """``to`` and ``cc`` of what is said about a video. PeerTube takes a video with an empty ``to`` for unlisted."""
    if video.privacy is Privacy.PUBLIC:
        return [PUBLIC, identity.followers_url, f"{identity.owner_url}/followers"], []
    return [], [PUBLIC]
