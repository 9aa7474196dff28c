"""One View judged: the rules that both readers, the fast and the strict, share."""

from __future__ import annotations

from typing import Any, Final

from federation.vocabulary.activities import View
from federation.vocabulary.objects import is_count, read_instant_ms
from foundation.errors import Refused
from foundation.urls import MAX_URL_LENGTH, authority_of_known, is_web_url

MAX_COUNTER = 10_000_000
"""Default ceiling of a stated number of viewers; a larger one is an attack or a mistake."""


class Absent:
    """Stands where a member was not sent; ``null`` was sent and is something else."""


ABSENT: Final = Absent()

BAD_ID = Refused("bad_id", f"id must be an http(s) URL of at most {MAX_URL_LENGTH} characters")
BAD_ACTOR = Refused("bad_actor", "actor must be one http(s) URL, as plain text")
BAD_OBJECT = Refused("bad_object", "object must be one http(s) URL, as plain text")
BAD_EXPIRES = Refused("bad_expires", "expires must be an ISO 8601 instant with a zone", 202)
NO_EXPIRES = Refused("no_expires", "a result without expires")
BAD_COUNTER = Refused("bad_counter", "result must be an InteractionCounter of WatchAction with an integer in range")


def judge_view(
    id_: Any,
    actor: Any,
    object_: Any,
    *,
    expires: Any = ABSENT,
    published: Any = None,
    result: tuple[Any, Any, Any, Any] | None = None,
    max_count: int = MAX_COUNTER,
) -> View | Refused:
    """A View, or ``bad_id``, ``bad_actor``, ``bad_object``, ``bad_expires`` (202), ``no_expires``, ``bad_counter``.

    ``result`` is (type, interactionType, userInteractionCount, yours). An unreadable ``expires`` or ``result`` refuses
    the whole: a broken viewer must not be read as a counted view, nor a broken total as one viewer. An unreadable
    ``published`` counts as absent, for it only orders what the same actor says.
    """
    if not is_web_url(id_):
        return BAD_ID
    if not isinstance(actor, str) or authority_of_known(actor) is None:
        return BAD_ACTOR
    if not isinstance(object_, str) or authority_of_known(object_) is None:
        return BAD_OBJECT
    if expires is ABSENT:
        return View(id_, actor, object_, None, read_instant_ms(published)) if result is None else NO_EXPIRES
    expires_ms = read_instant_ms(expires)
    if expires_ms is None:
        return BAD_EXPIRES
    if result is None:
        return View(id_, actor, object_, expires_ms, read_instant_ms(published))
    kind, interaction, counter, yours = result
    if kind != "InteractionCounter" or interaction != "WatchAction" or not is_count(counter, max_count):
        return BAD_COUNTER
    if yours is ABSENT:
        yours = None
    elif not is_count(yours, counter):
        return BAD_COUNTER
    return View(id_, actor, object_, expires_ms, read_instant_ms(published), counter, yours)
