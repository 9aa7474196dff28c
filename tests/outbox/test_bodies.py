from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import ROOT

from federation.vocabulary.build import encode, view_total
from federation.vocabulary.contexts import ALL
from outbox.batching import Batch
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
    parcels = bodies([total(1), total(2)], batch=Batch.NOTHING, serial="s")
    assert [parcel.items for parcel in parcels] == [(1,), (2,)]
    assert parcels[0].body == total(1).body


def test_a_batch_has_the_shape_that_peertube_took() -> None:
    [parcel] = bodies([total(1), total(2)], batch=Batch.VIEWS, serial="7")
    assert parcel.items == (1, 2)
    ours = msgspec.json.decode(parcel.body)
    recorded = json.loads((ROOT / "minimal-origin" / "send-total-batch.json").read_bytes())
    assert ours.keys() == recorded.keys()
    assert ours["@context"] == recorded["@context"]
    assert ours["totalItems"] == "2"
    assert all("@context" not in item for item in ours["items"])
    assert recorded["items"][0].keys() <= ours["items"][0].keys()


def test_a_batch_of_one_is_the_activity_itself() -> None:
    [parcel] = bodies([total(1)], batch=Batch.VIEWS, serial="s")
    assert parcel.body == total(1).body


def test_a_batch_keeps_below_the_size_that_proxies_take() -> None:
    parcels = bodies([total(n) for n in range(1000)], batch=Batch.VIEWS, serial="s")
    assert [item for parcel in parcels for item in parcel.items] == list(range(1000))
    assert all(len(parcel.body) <= MAX_BODY_BYTES + 2_000 for parcel in parcels)
    ids = [msgspec.json.decode(parcel.body)["id"] for parcel in parcels]
    assert len(set(ids)) == len(parcels) < 20


def test_neither_actors_nor_inboxes_are_mixed() -> None:
    other = "http://127.0.0.1:9105/accounts/owner"
    one = [total(1), total(2), total(3, actor=other), total(4, inbox="https://q.example/inbox"), total(5)]
    parcels = bodies(one, batch=Batch.VIEWS, serial="s")
    assert [parcel.items for parcel in parcels] == [(1, 2), (3,), (4,), (5,)]


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (Batch.NOTHING, [(1,), (2,), (3,), (4,), (5,), (6,), (7,)]),
        (Batch.VIEWS, [(1, 2), (3,), (4,), (5,), (6, 7)]),
        (Batch.EVERYTHING, [(1, 2, 3, 4), (5,), (6, 7)]),
    ],
)
def test_only_what_a_peer_is_known_to_take_together_goes_together(
    batch: Batch, expected: list[tuple[int, ...]]
) -> None:
    views, others, alone = Batch.VIEWS, Batch.EVERYTHING, Batch.NOTHING
    kinds = [views, views, others, others, alone, views, views]
    row = [replace(total(number), alike=kind) for number, kind in enumerate(kinds, 1)]
    assert [parcel.items for parcel in bodies(row, batch=batch, serial="s")] == expected


def test_what_is_too_large_already_goes_alone() -> None:
    large = replace(total(2), body=encode({"type": "View", "content": "x" * MAX_BODY_BYTES}))
    parcels = bodies([total(1), large, total(3)], batch=Batch.VIEWS, serial="s")
    assert [parcel.items for parcel in parcels] == [(1,), (2,), (3,)]


@given(st.lists(st.sampled_from([*ALL, None, ["https://other.example/ns"]]), min_size=2, max_size=6))
def test_items_lose_their_context_and_nothing_else(contexts: list[Any]) -> None:
    documents = [
        ({} if context is None else {"@context": context}) | {"type": "View", "object": '{"@context":[],', "to": [[]]}
        for context in contexts
    ]
    outgoing = [Outgoing(ME, "", msgspec.json.encode(document), None) for document in documents]
    [parcel] = bodies(outgoing, batch=Batch.EVERYTHING, serial="s")
    read = msgspec.json.decode(parcel.body)
    for document in documents:
        document.pop("@context", None)
    assert read["items"] == documents
    terms = read["@context"][-1]
    assert all(context[-1].items() <= terms.items() for context in contexts if context in ALL)
