"""The four cases, every row."""

from __future__ import annotations

import pytest

from views.model import LOCAL
from views.routing import (
    NOT_ORIGIN,
    UNKNOWN_VIDEO,
    AddViewer,
    Audience,
    CountedView,
    CountView,
    Decision,
    Drop,
    Event,
    OurViewer,
    Peer,
    PutTotal,
    SignOfLife,
    route,
)

OURS, THEIRS = True, False
US = OurViewer()
ORIGIN = Peer("origin.example", is_origin=True)
OTHER = Peer("other.example:8443", is_origin=False)
ALIVE, VIEW = SignOfLife(), CountedView()
A = AddViewer(LOCAL, tell_origin=False)
B = AddViewer(LOCAL, tell_origin=True)
C = AddViewer(OTHER.host, tell_origin=False)
D_V1 = AddViewer(ORIGIN.host, tell_origin=False)


@pytest.mark.parametrize(
    ("local", "speaker", "what", "expected"),
    [
        (OURS, US, ALIVE, A),
        (OURS, US, SignOfLife(7), A),
        (OURS, US, VIEW, CountView(True, Audience.FOLLOWERS)),
        (THEIRS, US, ALIVE, B),
        (THEIRS, US, SignOfLife(7), B),
        (THEIRS, US, VIEW, CountView(False, Audience.ORIGIN)),
        (OURS, OTHER, ALIVE, C),
        (OURS, OTHER, SignOfLife(7), C),
        (OURS, OTHER, SignOfLife(0), C),
        (OURS, OTHER, VIEW, CountView(True, Audience.NOBODY)),
        (OURS, ORIGIN, ALIVE, D_V1),
        (THEIRS, ORIGIN, ALIVE, D_V1),
        (THEIRS, ORIGIN, SignOfLife(7), PutTotal(7)),
        (THEIRS, ORIGIN, SignOfLife(0), PutTotal(0)),
        (THEIRS, ORIGIN, VIEW, CountView(False, Audience.NOBODY)),
        (THEIRS, OTHER, ALIVE, Drop(NOT_ORIGIN)),
        (THEIRS, OTHER, SignOfLife(7), Drop(NOT_ORIGIN)),
        (THEIRS, OTHER, SignOfLife(0), Drop(NOT_ORIGIN)),
        (THEIRS, OTHER, VIEW, Drop(NOT_ORIGIN)),
    ],
)
def test_every_case(local: bool, speaker: OurViewer | Peer, what: SignOfLife | CountedView, expected: Decision) -> None:
    assert route(Event(local, speaker, what)) == expected


@pytest.mark.parametrize(
    ("local", "speaker", "what", "expected"),
    [
        (OURS, US, ALIVE, A),
        (OURS, US, VIEW, CountView(True, Audience.NOBODY)),
        (THEIRS, US, ALIVE, A),
        (THEIRS, US, VIEW, CountView(False, Audience.NOBODY)),
        (OURS, OTHER, ALIVE, Drop(UNKNOWN_VIDEO)),
        (OURS, OTHER, VIEW, Drop(UNKNOWN_VIDEO)),
        (THEIRS, ORIGIN, SignOfLife(7), Drop(UNKNOWN_VIDEO)),
        (THEIRS, OTHER, VIEW, Drop(UNKNOWN_VIDEO)),
    ],
)
def test_a_private_video_stays_in_the_house(
    local: bool, speaker: OurViewer | Peer, what: SignOfLife | CountedView, expected: Decision
) -> None:
    assert route(Event(local, speaker, what, video_federated=False)) == expected
