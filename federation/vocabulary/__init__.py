"""The activity vocabulary: what instances say to each other <-> frozen structs. Pure; plain JSON; PeerTube's shapes.

``parse_activity`` reads what comes in; ``build`` makes what goes out; ``activities`` are the nouns.
"""

from federation.vocabulary.activities import (
    Accept,
    Activity,
    Announce,
    AnyObject,
    Attribution,
    Collection,
    Create,
    Delete,
    Follow,
    OtherObject,
    Reject,
    Section,
    Single,
    Undo,
    UnknownActivity,
    Update,
    VideoObject,
    View,
    WatchActionObject,
)
from federation.vocabulary.contexts import CONTENT_TYPE, PUBLIC
from federation.vocabulary.objects import read_video, read_video_document
from federation.vocabulary.parse import parse_activity
from federation.vocabulary.strict import read_json
from federation.vocabulary.view import MAX_COUNTER

__all__ = [
    "CONTENT_TYPE",
    "MAX_COUNTER",
    "PUBLIC",
    "Accept",
    "Activity",
    "Announce",
    "AnyObject",
    "Attribution",
    "Collection",
    "Create",
    "Delete",
    "Follow",
    "OtherObject",
    "Reject",
    "Section",
    "Single",
    "Undo",
    "UnknownActivity",
    "Update",
    "VideoObject",
    "View",
    "WatchActionObject",
    "parse_activity",
    "read_json",
    "read_video",
    "read_video_document",
]
