"""Fetching the actor behind a URL or a keyId, and believing nothing in its document that the fetch does not prove."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import msgspec

from federation.signatures.cavage import without_fragment
from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.signer import Sign
from foundation.errors import FetchFailed, Refused
from foundation.urls import authority, canonical_url, is_web_url, same_origin_authority

ACCEPT = "application/activity+json, application/ld+json"
CONTENT_TYPES = frozenset({"application/activity+json", "application/ld+json"})
"""Media types of ActivityPub (W3C Recommendation, section 3.2). Any other may be a file that somebody uploaded."""
ACTOR_TYPES = frozenset({"Person", "Application", "Group", "Service", "Organization"})
MAX_BYTES = 1_000_000

RETRY_AFTER_S = 10
"""For senders whose key we could not ask for just now."""

_GONE = (404, 410)
_PASSING_STATUSES = (408, 425, 429)
_PASSING = frozenset({"timeout", "unreachable", "protocol_error", "tls_failed"})
"""Reasons of FetchFailed that, without an answer's status, say nothing of what was asked for."""
_MAX_NAME_CHARS = 200
_MAX_ATTRIBUTED = 10
_MAX_MULTIKEYS = 4


Onward = Callable[[str], None]
"""Hears the authority that a redirect leads to, before it is asked; FetchFailed when it must not be."""


class HttpAnswer(Protocol):
    """What is read of an answer, as of :class:`foundation.http.HttpResponse`. ``url``, canonical, is where it came from
    in the end."""

    @property
    def status(self) -> int: ...
    @property
    def media_type(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def url(self) -> str: ...


class HttpGetter(Protocol):
    """The part of :class:`foundation.http.HttpClient` that is needed here. Raises FetchFailed."""

    async def get(
        self,
        url: str,
        *,
        accept: str,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        max_bytes: int | None = None,
        onward: Onward | None = None,
    ) -> HttpAnswer: ...


class AskSigned(Protocol):
    """As `federation.signing.Signing.ask`: several ways of signing, tried as the host at ``url`` answers."""

    async def ask(self, url: str, attempt: Callable[[Sign], Awaitable[HttpAnswer]]) -> HttpAnswer: ...


class ActorDocument(msgspec.Struct, frozen=True):
    """An actor as its own host describes it.

    ``id``, ``inbox`` and, where there, ``shared_inbox``, ``followers`` and ``outbox`` are web URLs on one authority.
    ``type`` is one of :data:`ACTOR_TYPES`. The key is owned by this actor, and still text that nobody has read (see
    :func:`federation.keys.load_public_key`). ``attributed_to`` are web URLs on any host: a PeerTube channel (Group)
    names its account there. ``multikeys`` are the id and the text of further keys (FEP-521a), owned by this actor too.
    """

    id: str
    type: str
    preferred_username: str
    inbox: str
    shared_inbox: str | None
    followers: str | None
    outbox: str | None
    public_key_id: str
    public_key_pem: str
    attributed_to: tuple[str, ...] = ()
    multikeys: tuple[tuple[str, str], ...] = ()


class ActorClient:
    """Fetches actors with GETs that are signed as the host takes it (``signing``), always alike (``sign``), or not."""

    def __init__(
        self,
        http: HttpGetter,
        sign: Sign | None = None,
        *,
        signing: AskSigned | None = None,
        onward: Onward | None = None,
    ) -> None:
        self._http = http
        self._sign = sign
        self._signing = signing
        self._onward = onward

    async def fetch_key_owner(self, url: str, onward: Onward) -> ActorDocument | Refused:
        """As ``fetch_actor``; ``onward`` is asked about each other host that redirects lead to."""
        client = ActorClient(self._http, self._sign, signing=self._signing, onward=onward)
        return await client.fetch_actor(url)

    async def fetch_actor(self, url: str) -> ActorDocument | Refused:
        """The actor at an actor's URL or a key's, in at most two requests.

        A document whose ``id`` is not the address it came from is asked for once more, at its id, on the same host
        only. A key that stands alone leads to its owner, who has to list that very key.
        """
        document = await self.fetch_document(without_fragment(url))
        if isinstance(document, Refused):
            return document
        members, final_url = document
        if "publicKeyPem" in members and "publicKey" not in members:
            return await self._owner_of(members, final_url)
        actor_id = members.get("id")
        if not is_web_url(actor_id):
            return refuse(SignatureReason.BAD_ACTOR, "the document has no id")
        if canonical_url(actor_id) != final_url:
            if not same_origin_authority(actor_id, final_url):
                return refuse(SignatureReason.BAD_ACTOR, "the document's id lies on another host")
            return await self._at_its_id(actor_id)
        return read_actor(members)

    async def _at_its_id(self, actor_id: str) -> ActorDocument | Refused:
        document = await self.fetch_document(without_fragment(actor_id))
        if isinstance(document, Refused):
            return document
        members, final_url = document
        if members.get("id") != actor_id or canonical_url(actor_id) != final_url:
            return refuse(SignatureReason.BAD_ACTOR, "the document's id is not its address")
        return read_actor(members)

    async def _owner_of(self, key: dict[str, Any], final_url: str) -> ActorDocument | Refused:
        key_id, owner = key.get("id"), key.get("owner")
        if not is_web_url(key_id) or canonical_url(key_id) != final_url:
            return refuse(SignatureReason.BAD_ACTOR, "the key's id is not its address")
        if not is_web_url(owner) or not same_origin_authority(owner, final_url):
            return refuse(SignatureReason.KEY_OWNER, "the key's owner lies on another host")
        actor = await self._at_its_id(owner)
        if isinstance(actor, Refused):
            return actor
        if actor.public_key_id != key_id or actor.public_key_pem != key.get("publicKeyPem"):
            return refuse(SignatureReason.KEY_OWNER, "the key's owner does not list it")
        return actor

    async def fetch_document(self, url: str) -> tuple[dict[str, Any], str] | Refused:
        """Any ActivityPub document in one request: the members of its JSON object, and the canonical URL that it came
        from in the end. Whether its ``id`` is that URL is for the caller to see."""
        try:
            ask = partial(self._get, url)
            answer = await (ask(self._sign) if self._signing is None else self._signing.ask(url, ask))
        except FetchFailed as failure:
            return _failed(failure.status, failure.reason)
        if answer.status != 200:
            return _failed(answer.status, f"status {answer.status}")
        if answer.media_type not in CONTENT_TYPES:
            return refuse(SignatureReason.BAD_ACTOR, "the document is not served as ActivityPub")
        try:
            members = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return refuse(SignatureReason.BAD_ACTOR, "the document is not JSON")
        if not isinstance(members, dict):
            return refuse(SignatureReason.BAD_ACTOR, "the document is not a JSON object")
        return members, answer.url

    async def _get(self, url: str, sign: Sign | None) -> HttpAnswer:
        return await self._http.get(url, accept=ACCEPT, sign=sign, max_bytes=MAX_BYTES, onward=self._onward)


def read_actor(members: Mapping[str, Any]) -> ActorDocument | Refused:
    """An actor out of the members of its document; the caller has made sure that ``id`` is where it came from.

    What is optional and unusable (a shared inbox on another host, say) is taken as absent.
    """
    actor_id, actor_type = members.get("id"), members.get("type")
    if not is_web_url(actor_id):
        return refuse(SignatureReason.BAD_ACTOR, "the actor has no id")
    if not isinstance(actor_type, str) or actor_type not in ACTOR_TYPES:
        return refuse(SignatureReason.BAD_ACTOR, "the document is of no actor's type")
    inbox = _on_host_of(actor_id, members.get("inbox"))
    if inbox is None:
        return refuse(SignatureReason.BAD_ACTOR, "the actor has no inbox on its own host")
    key = members.get("publicKey")
    if not isinstance(key, dict):
        return refuse(SignatureReason.BAD_ACTOR, "the actor has no public key, or several")
    key_id, owner, pem = _on_host_of(actor_id, key.get("id")), key.get("owner"), key.get("publicKeyPem")
    if not isinstance(pem, str) or key_id is None:
        return refuse(SignatureReason.BAD_ACTOR, "the actor's public key lacks its id or its text")
    if owner != actor_id:
        return refuse(SignatureReason.KEY_OWNER, "the actor does not own the key that it lists")
    endpoints, name = members.get("endpoints"), members.get("preferredUsername")
    shared_inbox = endpoints.get("sharedInbox") if isinstance(endpoints, dict) else None
    return ActorDocument(
        id=actor_id,
        type=actor_type,
        preferred_username=name[:_MAX_NAME_CHARS] if isinstance(name, str) else "",
        inbox=inbox,
        shared_inbox=_on_host_of(actor_id, shared_inbox),
        followers=_on_host_of(actor_id, members.get("followers")),
        outbox=_on_host_of(actor_id, members.get("outbox")),
        public_key_id=key_id,
        public_key_pem=pem,
        attributed_to=_urls(members.get("attributedTo")),
        multikeys=_multikeys(actor_id, members.get("assertionMethod")),
    )


def _on_host_of(actor_id: str, value: object) -> str | None:
    return value if is_web_url(value) and authority(value) == authority(actor_id) else None


def _urls(value: object) -> tuple[str, ...]:
    """The web URLs in a member that may be a URL, an object with an id, or a list of either."""
    items = value if isinstance(value, list) else [value]
    ids = (item.get("id") if isinstance(item, dict) else item for item in items[:_MAX_ATTRIBUTED])
    return tuple(item for item in ids if is_web_url(item))


def _multikeys(actor_id: str, value: object) -> tuple[tuple[str, str], ...]:
    """Ids and texts of the keys in ``assertionMethod`` that the actor controls; what is unusable is passed over."""
    found = []
    for item in (value if isinstance(value, list) else [value])[:_MAX_MULTIKEYS]:
        if isinstance(item, dict) and item.get("type") == "Multikey" and item.get("controller") == actor_id:
            key_id, text = _on_host_of(actor_id, item.get("id")), item.get("publicKeyMultibase")
            if key_id is not None and isinstance(text, str):
                found.append((key_id, text))
    return tuple(found)


def _failed(status: int | None, why: str) -> Refused:
    if status in _GONE:
        return refuse(SignatureReason.ACTOR_GONE, "there is no such actor any more")
    detail = f"the actor's document could not be fetched: {why}"
    if why in _PASSING if status is None else status >= 500 or status in _PASSING_STATUSES:
        return Refused(SignatureReason.KEY_UNAVAILABLE, detail, 503, RETRY_AFTER_S)
    return refuse(SignatureReason.KEY_UNAVAILABLE, detail)
