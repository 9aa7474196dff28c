"""Why the inbox did not do what it was asked, beyond what signatures and the parser already say.

A *drop* is accepted on the wire (202) and changes nothing: the sender did nothing that repeating would mend, or must
not learn what we know. A *refusal* has a status of its own. Every reason of the product stands in docs/federation.md.
"""

from __future__ import annotations

import enum

from foundation.errors import Refused

ACCEPTED_AND_DROPPED = 202


class InboxReason(enum.StrEnum):
    """Reasons that the inbox itself gives."""

    CONTENT_TYPE = "content_type"
    """The body is not announced as ActivityPub or JSON (415)."""
    TOO_MANY_REQUESTS = "too_many_requests"
    """More than ``federation.peer_requests`` from one address or one host (429)."""
    TOO_MANY_STAYS = "too_many_stays"
    """More WatchActions of one host than ``federation.peer_stays``."""
    FORWARDED = "forwarded"
    """The signer is not the activity's actor: no JSON-LD signature is ever looked at."""
    FOREIGN_ID = "foreign_id"
    """The activity's id lies on another host than its actor."""
    NOT_ACCEPTED = "not_accepted"
    """``peers[].accept`` leaves this kind of message out."""
    TOO_MANY_VIEWERS = "too_many_viewers"
    """So many viewers above the host's quotas that they are not even shown apart."""
    TOO_MANY_VIEWS = "too_many_views"
    """More counted views of one video within an hour than the host's quota."""
    UNKNOWN_VIDEO = "unknown_video"
    """No such video here, or a private one."""
    EXPIRED = "expired"
    """``expires`` is not a date, names no zone, or has passed."""
    DUPLICATE = "duplicate"
    """This activity was counted before."""
    UNSUPPORTED_TYPE = "unsupported_type"
    """A kind of activity that means nothing to a counter of views."""
    UNKNOWN_OBJECT = "unknown_object"
    """The activity is about something that is not ours, or that we do not know."""
    NOT_FOLLOWED = "not_followed"
    """An announcement of somebody whom we do not follow."""
    NOT_OWNER = "not_owner"
    """The actor may not speak for this object."""
    REPLACED = "replaced"
    """A newer total, or a newer Update of the video, is known already."""
    NOT_COMPLETED = "not_completed"
    """A WatchAction of somebody who still watches."""
    NOTHING_WATCHED = "nothing_watched"
    """A WatchAction without a second of watch time."""
    IMPLAUSIBLE_DATES = "implausible_dates"
    """A WatchAction that ends before it begins, in the future, or began more than 90 days ago."""
    IMPLAUSIBLE_SECTIONS = "implausible_sections"
    """A WatchAction with too many sections, a backward one, or one beyond the end of the video."""
    BAD_LOCATION = "bad_location"
    """A WatchAction whose country is no ISO 3166-1 code, or whose subdivision is no name."""
    TOO_MANY_ITEMS = "too_many_items"
    """A Collection is longer than ``federation.batch_max_items``; the rest of it was not looked at."""


REPLAYABLE = frozenset(
    {
        InboxReason.TOO_MANY_STAYS,
        InboxReason.TOO_MANY_VIEWS,
        InboxReason.NOT_ACCEPTED,
        InboxReason.NOT_FOLLOWED,
        InboxReason.UNKNOWN_VIDEO,
        InboxReason.UNKNOWN_OBJECT,
        InboxReason.NOTHING_WATCHED,
        InboxReason.IMPLAUSIBLE_DATES,
        InboxReason.IMPLAUSIBLE_SECTIONS,
    }
)
"""Drops that another rule, catalog or follow would not have made: what was said is held for a replay."""


def drop(reason: InboxReason, detail: str = "") -> Refused:
    """Accepted on the wire, counted nowhere."""
    return Refused(reason, detail, ACCEPTED_AND_DROPPED)
