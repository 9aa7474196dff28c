from __future__ import annotations

import json

import msgspec
from recorded import ROOT

from federation.vocabulary.build import encode, view_total
from outbox.bodies import MAX_BODY_BYTES, Outgoing, bodies

ME = "http://127.0.0.1:9105/accounts/peertube"


def total(number: int, *, inbox: str = "https://p.example/inbox", actor: str = ME) -> Outgoing[int]:
    view = view_total(
        actor=actor,
        number=number,
        video_uuid=f"uuid-{number}",
        video=f"http://127.0.0.1:9105/videos/watch/{number}",
        to=[],
        total=number,
        expires_ms=0,
        published_ms=0,
    )
    return Outgoing(actor, inbox, encode(view), number)


def test_one_each_without_batch() -> None:
    parcels = bodies([total(1), total(2)], batch=False, serial="s")
    assert [parcel.items for parcel in parcels] == [(1,), (2,)]
    assert parcels[0].body == total(1).body


def test_a_batch_has_the_shape_that_peertube_took() -> None:
    [parcel] = bodies([total(1), total(2)], batch=True, serial="7")
    assert parcel.items == (1, 2)
    ours = msgspec.json.decode(parcel.body)
    recorded = json.loads((ROOT / "minimal-origin" / "send-total-batch.json").read_bytes())
    assert ours.keys() == recorded.keys()
    assert ours["@context"] == recorded["@context"]
    assert ours["totalItems"] == "2"
    assert all("@context" not in item for item in ours["items"])
    assert recorded["items"][0].keys() <= ours["items"][0].keys()


def test_a_batch_of_one_is_the_activity_itself() -> None:
    [parcel] = bodies([total(1)], batch=True, serial="s")
    assert parcel.body == total(1).body


def test_a_batch_keeps_below_the_size_that_proxies_take() -> None:
    parcels = bodies([total(n) for n in range(1000)], batch=True, serial="s")
    assert [item for parcel in parcels for item in parcel.items] == list(range(1000))
    assert all(len(parcel.body) <= MAX_BODY_BYTES + 2_000 for parcel in parcels)
    ids = [msgspec.json.decode(parcel.body)["id"] for parcel in parcels]
    assert len(set(ids)) == len(parcels) < 20


def test_neither_actors_nor_inboxes_are_mixed() -> None:
    other = "http://127.0.0.1:9105/accounts/owner"
    one = [total(1), total(2), total(3, actor=other), total(4, inbox="https://q.example/inbox"), total(5)]
    parcels = bodies(one, batch=True, serial="s")
    assert [parcel.items for parcel in parcels] == [(1, 2), (3,), (4,), (5,)]
