from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from handmade import NOW_MS, rsa_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.recorded import load_actor, load_exchange, minimal_origin

from federation.actors import ACCEPT, ActorClient, ActorDocument, read_actor
from federation.keys import KeyPair
from federation.signatures.signer import Sign, Signer
from foundation.clock import ManualClock
from foundation.errors import FetchFailed, Refused

HOST = "https://peer.example"
ACTOR = f"{HOST}/accounts/peertube"
PEM = KeyPair.of(rsa_key()).public_pem
AS2 = "application/activity+json"


@dataclass
class Answer:
    status: int
    media_type: str
    body: bytes
    url: str


class Web:
    """A network of documents by URL; a URL as document is a redirect to it."""

    def __init__(self, documents: Mapping[str, Any], media_type: str = AS2, status: int = 200) -> None:
        self.documents = documents
        self.media_type = media_type
        self.status = status
        self.asked: list[str] = []
        self.signed: Mapping[str, str] = {}

    async def get(
        self,
        url: str,
        *,
        accept: str,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        max_bytes: int | None = None,
        onward: Callable[[str], None] | None = None,
    ) -> Answer:
        assert accept == ACCEPT
        assert max_bytes == 1_000_000
        self.asked.append(url)
        self.signed = sign("GET", url, b"") if sign else {}
        document = self.documents.get(url, FetchFailed("unreachable"))
        if isinstance(document, FetchFailed):
            raise document
        if isinstance(document, str):
            url, document = document, self.documents[document]
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return Answer(self.status, self.media_type, body, url)


def actor(**changed: Any) -> dict[str, Any]:
    return {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": ACTOR,
        "type": "Application",
        "preferredUsername": "peertube",
        "inbox": f"{ACTOR}/inbox",
        "endpoints": {"sharedInbox": f"{HOST}/inbox"},
        "publicKey": {"id": f"{ACTOR}#main-key", "owner": ACTOR, "publicKeyPem": PEM},
        **changed,
    }


def key(**changed: Any) -> dict[str, Any]:
    return {"id": f"{ACTOR}#main-key", "owner": ACTOR, "publicKeyPem": PEM, **changed}


def reason(outcome: object) -> str:
    return str(outcome.reason) if isinstance(outcome, Refused) else "ok"


@pytest.mark.parametrize(
    "url",
    [f"http://127.0.0.1:{port}/{path}" for port in (9001, 9002, 9105) for path in ("accounts/peertube",)]
    + ["http://127.0.0.1:9001/video-channels/root_channel", "http://127.0.0.1:9105/accounts/alice"],
)
async def test_recorded_actors_are_read(url: str) -> None:
    document = await ActorClient(Web({url: load_actor(url)})).fetch_actor(f"{url}#main-key")
    assert isinstance(document, ActorDocument)
    assert document.id == url
    assert document.inbox == f"{url}/inbox"
    assert document.shared_inbox == "/".join(url.split("/")[:3]) + "/inbox"
    assert document.followers == f"{url}/followers"
    assert document.public_key_id == f"{url}#main-key"


async def test_an_answer_of_peertube_is_read_byte_for_byte() -> None:
    url = "http://127.0.0.1:9001/accounts/peertube"
    document = await ActorClient(Web({url: load_exchange("02").response_body})).fetch_actor(url)
    assert isinstance(document, ActorDocument)
    assert (document.type, document.preferred_username) == ("Application", "peertube")


def test_a_channel_names_its_account() -> None:
    document = read_actor(minimal_origin("actor-channel-group"))
    assert isinstance(document, ActorDocument)
    assert document.attributed_to == ("http://127.0.0.1:9105/accounts/alice",)


async def test_requests_are_signed() -> None:
    web = Web({ACTOR: actor()})
    sign = Signer("https://tube.example/accounts/peertube#main-key", rsa_key()).at(ManualClock(NOW_MS))
    assert reason(await ActorClient(web, sign).fetch_actor(ACTOR)) == "ok"
    assert 'keyId="https://tube.example/accounts/peertube#main-key"' in web.signed["Signature"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"id": "https://other.example/accounts/peertube"}, "bad_actor"),
        ({"id": None}, "bad_actor"),
        ({"id": ["https://peer.example/accounts/peertube"]}, "bad_actor"),
        ({"id": "acct:x@peer.example"}, "bad_actor"),
        ({"type": "Note"}, "bad_actor"),
        ({"type": ["Person"]}, "bad_actor"),
        ({"type": None}, "bad_actor"),
        ({"inbox": None}, "bad_actor"),
        ({"inbox": "https://victim.example/inbox"}, "bad_actor"),
        ({"inbox": "https://peer.example:8443/inbox"}, "bad_actor"),
        ({"inbox": "javascript:alert(1)"}, "bad_actor"),
        ({"inbox": {"id": f"{ACTOR}/inbox"}}, "bad_actor"),
        ({"publicKey": None}, "bad_actor"),
        ({"publicKey": [key()]}, "bad_actor"),
        ({"publicKey": "x"}, "bad_actor"),
        ({"publicKey": key(id=None)}, "bad_actor"),
        ({"publicKey": key(id="https://other.example/key")}, "bad_actor"),
        ({"publicKey": key(publicKeyPem=None)}, "bad_actor"),
        ({"publicKey": key(publicKeyPem={"x": 1})}, "bad_actor"),
        ({"publicKey": key(owner=None)}, "key_owner"),
        ({"publicKey": key(owner="https://peer.example/accounts/other")}, "key_owner"),
        ({"preferredUsername": None}, "ok"),
        ({"endpoints": None}, "ok"),
        ({"endpoints": []}, "ok"),
        ({"followers": 7, "outbox": "x", "attributedTo": 1.5}, "ok"),
    ],
)
async def test_81_to_83_what_an_actor_must_be(changed: dict[str, Any], expected: str) -> None:
    web = Web({ACTOR: actor(**changed)})
    outcome = await ActorClient(web).fetch_actor(ACTOR)
    assert reason(outcome) == expected
    assert not isinstance(outcome, Refused) or outcome.status == 401
    assert len(web.asked) == 1


async def test_what_is_optional_and_unusable_is_absent() -> None:
    document = read_actor(
        actor(
            endpoints={"sharedInbox": "https://victim.example/inbox"},
            followers="https://victim.example/f",
            outbox=[],
            preferredUsername=7,
            attributedTo=["https://a.example/1", {"id": "https://b.example/2"}, {"id": 7}, None, "x", ["y"]],
        )
    )
    assert isinstance(document, ActorDocument)
    assert (document.shared_inbox, document.followers, document.outbox) == (None, None, None)
    assert document.preferred_username == ""
    assert document.attributed_to == ("https://a.example/1", "https://b.example/2")


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "image/png", "text/plain", ""])
async def test_80_an_upload_is_no_actor(media_type: str) -> None:
    assert reason(await ActorClient(Web({ACTOR: actor()}, media_type)).fetch_actor(ACTOR)) == "bad_actor"


async def test_ld_json_will_do() -> None:
    assert reason(await ActorClient(Web({ACTOR: actor()}, "application/ld+json")).fetch_actor(ACTOR)) == "ok"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"id":NaN}', b"[" * 100_000, b'{"a":' * 50_000, b"\xef\xbb\xbf{}"],
)
async def test_a_body_that_is_no_object(body: bytes) -> None:
    assert reason(await ActorClient(Web({ACTOR: body})).fetch_actor(ACTOR)) == "bad_actor"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, "actor_gone"), (410, "actor_gone"), (401, "key_unavailable"), (500, "key_unavailable")],
)
async def test_93_an_answer_that_is_none(status: int, expected: str) -> None:
    assert reason(await ActorClient(Web({ACTOR: actor()}, status=status)).fetch_actor(ACTOR)) == expected
    failing = Web({ACTOR: FetchFailed("protocol_error", status=status)})
    assert reason(await ActorClient(failing).fetch_actor(ACTOR)) == expected


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (FetchFailed("timeout"), 503),
        (FetchFailed("unreachable"), 503),
        (FetchFailed("tls_failed"), 503),
        (FetchFailed("protocol_error"), 503),
        (FetchFailed("protocol_error", status=502), 503),
        (FetchFailed("protocol_error", status=200), 401),
        (FetchFailed("protocol_error", status=404), 401),
        (FetchFailed("address_refused"), 401),
        (FetchFailed("too_many_redirects"), 401),
        (FetchFailed("too_large", status=200), 401),
        (500, 503),
        (502, 503),
        (429, 503),
        (408, 503),
        (401, 401),
        (403, 401),
        (404, 401),
        (410, 401),
    ],
    ids=str,
)
async def test_what_may_be_otherwise_soon_is_to_be_repeated(failure: FetchFailed | int, expected: int) -> None:
    web = Web({ACTOR: actor()}, status=failure) if isinstance(failure, int) else Web({ACTOR: failure})
    outcome = await ActorClient(web).fetch_actor(ACTOR)
    assert isinstance(outcome, Refused)
    assert (outcome.status, outcome.retry_after_s) == (expected, 10 if expected == 503 else None)


async def test_76_to_79_a_failed_fetch_says_why() -> None:
    for word in ("address_refused", "too_many_redirects", "redirect_refused", "too_large", "timeout"):
        outcome = await ActorClient(Web({ACTOR: FetchFailed(word)})).fetch_actor(ACTOR)
        assert isinstance(outcome, Refused)
        assert outcome.reason == "key_unavailable"
        assert word in outcome.detail


async def test_any_document_may_be_fetched() -> None:
    video = minimal_origin("video")
    assert await ActorClient(Web({f"{HOST}/old": video["id"], video["id"]: video})).fetch_document(f"{HOST}/old") == (
        video,
        video["id"],
    )
    assert reason(await ActorClient(Web({})).fetch_document(ACTOR)) == "key_unavailable"


async def test_a_document_that_goes_between_two_requests() -> None:
    web = Web({f"{HOST}/@peertube": actor()})
    assert reason(await ActorClient(web).fetch_actor(f"{HOST}/@peertube")) == "key_unavailable"


# --- ids, redirects, bare keys


async def test_a_document_elsewhere_on_its_host_is_asked_for_at_its_id() -> None:
    web = Web({f"{HOST}/@peertube": actor(), ACTOR: actor()})
    document = await ActorClient(web).fetch_actor(f"{HOST}/@peertube")
    assert isinstance(document, ActorDocument)
    assert document.id == ACTOR
    assert web.asked == [f"{HOST}/@peertube", ACTOR]


async def test_a_stub_at_the_address_of_a_key_leads_to_its_actor() -> None:
    main_key = f"{ACTOR}/main-key"
    stub = actor(publicKey=key(id=main_key))
    web = Web({main_key: stub, ACTOR: stub})
    document = await ActorClient(web).fetch_actor(main_key)
    assert isinstance(document, ActorDocument)
    assert (document.id, document.public_key_id) == (ACTOR, main_key)


async def test_an_id_that_moves_on_is_followed_once() -> None:
    web = Web({f"{HOST}/1": actor(id=f"{HOST}/2"), f"{HOST}/2": actor(id=f"{HOST}/3"), f"{HOST}/3": actor()})
    assert reason(await ActorClient(web).fetch_actor(f"{HOST}/1")) == "bad_actor"
    assert len(web.asked) == 2


async def test_a_redirect_is_believed_for_where_it_ends() -> None:
    web = Web({f"{HOST}/old": ACTOR, ACTOR: actor()})
    document = await ActorClient(web).fetch_actor(f"{HOST}/old")
    assert isinstance(document, ActorDocument)
    assert len(web.asked) == 1
    # An id cannot be proven by a redirect away from it.
    upload = f"{HOST}/uploads/1"
    assert reason(await ActorClient(Web({ACTOR: upload, upload: actor()})).fetch_actor(ACTOR)) == "bad_actor"


async def test_a_bare_key_leads_to_the_owner_who_lists_it() -> None:
    at = f"{HOST}/keys/1"
    web = Web({at: key(id=at), ACTOR: actor(publicKey=key(id=at))})
    document = await ActorClient(web).fetch_actor(at)
    assert isinstance(document, ActorDocument)
    assert (document.id, document.public_key_id) == (ACTOR, at)
    assert len(web.asked) == 2


@pytest.mark.parametrize(
    ("bare", "owner", "expected"),
    [
        ({}, {}, "key_owner"),
        ({"id": f"{HOST}/keys/2"}, {}, "bad_actor"),
        ({"id": None}, {}, "bad_actor"),
        ({"owner": "https://other.example/a"}, {}, "key_owner"),
        ({"owner": 7}, {}, "key_owner"),
        ({"publicKeyPem": "another"}, {"publicKey": key(id=f"{HOST}/keys/1")}, "key_owner"),
        ({"owner": f"{HOST}/keys/1"}, {}, "bad_actor"),
    ],
    ids=["84 not listed", "other id", "no id", "owner elsewhere", "owner no URL", "other text", "85 loop"],
)
async def test_a_bare_key_that_nobody_owns(bare: dict[str, Any], owner: dict[str, Any], expected: str) -> None:
    at = f"{HOST}/keys/1"
    web = Web({at: key(**{"id": at, **bare}), ACTOR: actor(**owner)})
    assert reason(await ActorClient(web).fetch_actor(at)) == expected
    assert len(web.asked) <= 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([ACTOR, PEM, f"{ACTOR}/inbox"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*key(), *actor()]), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*actor()]), JSON))
def test_no_document_is_too_much(changed: dict[str, Any]) -> None:
    assert isinstance(read_actor(actor(**changed)), ActorDocument | Refused)


MULTIKEY = {"id": f"{ACTOR}#ed25519-key", "type": "Multikey", "controller": ACTOR, "publicKeyMultibase": "z6Mk"}


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (MULTIKEY, 1),
        ([MULTIKEY, {**MULTIKEY, "id": f"{ACTOR}#another"}], 2),
        ([MULTIKEY] * 100, 4),
        ([None, 1, "x", {}, MULTIKEY], 0),  # the fifth is not looked at
        ({**MULTIKEY, "controller": f"{HOST}/accounts/other"}, 0),
        ({**MULTIKEY, "id": "https://other.example/accounts/peertube#ed25519-key"}, 0),
        ({**MULTIKEY, "type": "JsonWebKey"}, 0),
        ({**MULTIKEY, "publicKeyMultibase": 1}, 0),
        (None, 0),
    ],
)
async def test_multikeys_that_the_actor_controls(listed: object, found: int) -> None:
    document = await ActorClient(Web({ACTOR: actor(assertionMethod=listed)})).fetch_actor(ACTOR)
    assert isinstance(document, ActorDocument)
    assert len(document.multikeys) == found
