from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from federation.documents import (
    ActorKind,
    Channel,
    InstanceIdentity,
    channel_actor,
    collection_page,
    empty_collection,
    instance_actor,
    ordered_collection,
    owner_actor,
)
from federation.vocabulary.build import encode

FIXTURES = Path(__file__).parents[1] / "fixtures" / "peertube-6.3"
BASE = "http://127.0.0.1:9105"
MINIMAL_ACTORS = ["actor-application", "actor-account-person", "actor-channel-group"]


def minimal(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / "minimal-origin" / f"{name}.json").read_text())
    return document


@pytest.fixture
def identity() -> InstanceIdentity:
    pem = minimal("actor-application")["publicKey"]["publicKeyPem"]
    return InstanceIdentity(BASE, "127.0.0.1:9105", pem, owner_name="alice", created_ms=0)


@pytest.mark.parametrize(("name", "kind"), list(zip(MINIMAL_ACTORS, ActorKind, strict=True)))
def test_actors_have_all_that_peertube_was_content_with(identity: InstanceIdentity, name: str, kind: ActorKind) -> None:
    made = {
        ActorKind.INSTANCE: instance_actor(identity),
        ActorKind.OWNER: owner_actor(identity),
        ActorKind.CHANNEL: channel_actor(identity, Channel("chan", "Chan")),
    }
    theirs, ours = minimal(name), json.loads(encode(made[kind]))
    for actor in (theirs, ours):
        # The context, the display name and the key itself are our own.
        for member in ("@context", "name"):
            actor.pop(member, None)
        actor["publicKey"]["publicKeyPem"] = actor["publicKey"]["publicKeyPem"].startswith("-----BEGIN PUBLIC KEY")
    assert theirs.items() <= ours.items()
    assert ours["published"] == "1970-01-01T00:00:00.000Z"


def test_each_actor_publishes_the_key_as_its_own(identity: InstanceIdentity) -> None:
    actors = [instance_actor(identity), owner_actor(identity), channel_actor(identity, Channel("chan", "Chan"))]
    assert {actor["publicKey"]["publicKeyPem"] for actor in actors} == {identity.public_key_pem}
    for actor in actors:
        assert actor["publicKey"]["owner"] == actor["id"]
        assert actor["publicKey"]["id"] == f"{actor['id']}#main-key"
    assert identity.key_id == f"{BASE}/accounts/peertube#main-key"


def test_urls(identity: InstanceIdentity) -> None:
    assert identity.followers_url == f"{BASE}/accounts/peertube/followers"
    assert identity.shared_inbox == f"{BASE}/inbox"
    assert identity.video_url("u") == f"{BASE}/videos/watch/u"
    assert identity.watch_action_url("u") == f"{BASE}/videos/local-viewer/u"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{BASE}/accounts/peertube", (ActorKind.INSTANCE, "peertube")),
        (f"{BASE}/accounts/alice", (ActorKind.OWNER, "alice")),
        (f"{BASE}/accounts/bob", None),
        (f"{BASE}/accounts/alice/inbox", None),
        (f"{BASE}/video-channels/chan", (ActorKind.CHANNEL, "chan")),
        (f"{BASE}/video-channels/chan/inbox", None),
        (f"{BASE}/video-channels/", None),
        ("http://127.0.0.1:9106/accounts/peertube", None),
        ("", None),
    ],
)
def test_which_actor_a_url_is(identity: InstanceIdentity, url: str, expected: tuple[ActorKind, str] | None) -> None:
    assert identity.actor_of(url) == expected


@pytest.mark.parametrize(
    ("name", "fits"),
    [("main", True), ("a.b-c_d:1", True), ("Alice", False), ("PEERTUBE", False), ("", False), ("a b", False)],
)
def test_names_of_channels(identity: InstanceIdentity, name: str, fits: bool) -> None:
    problem = identity.channel_name_problem(name)
    assert (problem is None) is fits
    assert problem is None or problem.reason == "bad_channel"


def test_collections() -> None:
    theirs = minimal("collection-empty")
    ours = json.loads(encode(empty_collection(theirs["id"])))
    assert {**ours, "@context": None} == {**theirs, "@context": None}
    assert ordered_collection("u", 3, "u?page=1") == {
        "id": "u",
        "type": "OrderedCollection",
        "totalItems": 3,
        "first": "u?page=1",
    }
    page = collection_page("u?page=1", "u", ["a", "b"], 3, "u?page=2")
    assert (page["orderedItems"], page["totalItems"], page["next"]) == (["a", "b"], 3, "u?page=2")
    assert "next" not in collection_page("u?page=2", "u", ["c"], 3)
    assert "first" not in ordered_collection("u", 0)
