"""Who we are, in documents: the instance actor, its one owner, the channels, and collections. Pure.

PeerTube wants a Group (channel) with a Person above every Video, and follows an Application. All three kinds publish
the same key under key ids of their own; the Application signs all but Updates and Deletes of videos, which are the
owner's.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from federation.vocabulary.build import Document
from foundation.clock import iso_ms
from foundation.errors import Refused

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,120}", re.ASCII)
"""``preferredUsername`` as PeerTube 6.3 takes it, bounded."""


class ActorKind(enum.Enum):
    """Our actors: the instance (Application), its owner (Person), and a channel (Group)."""

    INSTANCE = "Application"
    OWNER = "Person"
    CHANNEL = "Group"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as people see it. ``created_ms`` None: as old as the instance."""

    name: str
    display_name: str
    description: str | None = None
    created_ms: int | None = None


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """Who we are. ``base_url`` has no trailing slash; ``authority`` is its host, as others name us.

    ``public_key_pem`` is SPKI text (``BEGIN PUBLIC KEY``): PeerTube refuses every other form. ``key_fragment`` ends
    its key id. ``ed25519`` are further keys, newest first: the fragment of the id, and the key as multibase.
    """

    base_url: str
    authority: str
    public_key_pem: str
    key_fragment: str = "main-key"
    ed25519: tuple[tuple[str, str], ...] = ()
    actor_name: str = "peertube"
    owner_name: str = "owner"
    display_name: str = "Fediviews"
    description: str | None = None
    created_ms: int | None = None

    @property
    def actor_url(self) -> str:
        """The instance actor: signs everything, is the actor of every View, is what others follow."""
        return self.account_url(self.actor_name)

    @property
    def owner_url(self) -> str:
        """The one Person that all channels belong to; viewers of our videos are told to its shared inbox."""
        return self.account_url(self.owner_name)

    @property
    def key_id(self) -> str:
        return f"{self.actor_url}#{self.key_fragment}"

    @property
    def shared_inbox(self) -> str:
        return f"{self.base_url}/inbox"

    @property
    def followers_url(self) -> str:
        return f"{self.actor_url}/followers"

    def account_url(self, name: str) -> str:
        return f"{self.base_url}/accounts/{name}"

    def channel_url(self, name: str) -> str:
        return f"{self.base_url}/video-channels/{name}"

    def video_url(self, uuid: str) -> str:
        """The ActivityPub id of a video of ours."""
        return f"{self.base_url}/videos/watch/{uuid}"

    def watch_action_url(self, uuid: str) -> str:
        """The id of a WatchAction of ours."""
        return f"{self.base_url}/videos/local-viewer/{uuid}"

    def url_of(self, kind: ActorKind, name: str) -> str:
        return self.channel_url(name) if kind is ActorKind.CHANNEL else self.account_url(name)

    def account(self, name: str) -> ActorKind | None:
        """Whose account this name is."""
        if name == self.actor_name:
            return ActorKind.INSTANCE
        return ActorKind.OWNER if name == self.owner_name else None

    def actor_of(self, url: str) -> tuple[ActorKind, str] | None:
        """The kind and name of an actor of ours by its exact URL; whether such a channel exists is not known here."""
        accounts, channels = self.account_url(""), self.channel_url("")
        if url.startswith(accounts):
            name = url[len(accounts) :]
            kind = self.account(name)
            return None if kind is None else (kind, name)
        if url.startswith(channels) and is_actor_name(url[len(channels) :]):
            return ActorKind.CHANNEL, url[len(channels) :]
        return None

    def channel_name_problem(self, name: str) -> Refused | None:
        """Why a channel cannot have this name: ``bad_channel`` (400).

        PeerTube keeps the names of accounts and channels of a host in one namespace, whatever their case.
        """
        if not is_actor_name(name):
            return Refused("bad_channel", "a channel's name has letters, digits and _ . : - only, 120 at most")
        if name.lower() in (self.actor_name.lower(), self.owner_name.lower()):
            return Refused("bad_channel", "a channel cannot have the name of an account of the instance")
        return None


def is_actor_name(text: str) -> bool:
    """Whether PeerTube takes this for a user name."""
    return _NAME.fullmatch(text) is not None


def _actor(
    identity: InstanceIdentity,
    kind: ActorKind,
    name: str,
    display_name: str,
    summary: str | None,
    created_ms: int | None,
) -> Document:
    url = identity.url_of(kind, name)
    document: dict[str, Any] = {
        "type": kind.value,
        "id": url,
        "following": f"{url}/following",
        "followers": f"{url}/followers",
        "inbox": f"{url}/inbox",
        "outbox": f"{url}/outbox",
        "preferredUsername": name,
        "url": url,
        "name": display_name,
        "endpoints": {"sharedInbox": identity.shared_inbox},
        "publicKey": {"id": f"{url}#{identity.key_fragment}", "owner": url, "publicKeyPem": identity.public_key_pem},
        "summary": summary,
    }
    if identity.ed25519:
        # FEP-521a: beside publicKey, which has to stay the one RSA key that PeerTube knows.
        document["assertionMethod"] = [
            {"id": f"{url}#{fragment}", "type": "Multikey", "controller": url, "publicKeyMultibase": multibase}
            for fragment, multibase in identity.ed25519
        ]
    born_ms = identity.created_ms if created_ms is None else created_ms
    return document if born_ms is None else {**document, "published": iso_ms(born_ms)}


def instance_actor(identity: InstanceIdentity) -> Document:
    """The Application that stands for the whole instance."""
    return _actor(identity, ActorKind.INSTANCE, identity.actor_name, identity.display_name, identity.description, None)


def owner_actor(identity: InstanceIdentity) -> Document:
    """The Person that PeerTube wants above every channel."""
    return _actor(identity, ActorKind.OWNER, identity.owner_name, identity.display_name, None, None)


def channel_actor(identity: InstanceIdentity, channel: Channel) -> Document:
    """The Group that PeerTube wants above every Video."""
    document = _actor(
        identity, ActorKind.CHANNEL, channel.name, channel.display_name, channel.description, channel.created_ms
    )
    return {**document, "attributedTo": [{"type": "Person", "id": identity.owner_url}]}


def ordered_collection(id_: str, total: int, first: str | None = None) -> Document:
    """A collection that says how much it holds and, when it shows it, where its first page is."""
    document: Document = {"id": id_, "type": "OrderedCollection", "totalItems": total}
    return document if first is None else {**document, "first": first}


def empty_collection(id_: str) -> Document:
    """What PeerTube 6.3 is content with for likes, dislikes, followers, following and outbox."""
    return {"id": id_, "type": "OrderedCollection", "totalItems": 0, "orderedItems": []}


def collection_page(
    id_: str, part_of: str, items: Sequence[Document | str], total: int, next_: str | None = None
) -> Document:
    """One page of a collection: ids or whole objects, newest first; ``next_`` unless it is the last."""
    document: Document = {
        "id": id_,
        "type": "OrderedCollectionPage",
        "partOf": part_of,
        "totalItems": total,
        "orderedItems": list(items),
    }
    return document if next_ is None else {**document, "next": next_}
