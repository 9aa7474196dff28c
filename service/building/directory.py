"""Who we are, for the documents: the identity and the channels that others may know of."""

from __future__ import annotations

from dataclasses import replace

from federation.documents import ActorKind, Channel, InstanceIdentity
from federation.own_keys import KeyRing, OwnKeys
from foundation.database import Database
from foundation.errors import Refused
from views.catalog.catalog import Catalog
from views.catalog.channels import is_federated_channel
from views.catalog.listing import VideoFilter


class ServiceDirectory:
    """Implements ``federation.routes.Directory`` over the catalog."""

    def __init__(self, identity: InstanceIdentity, ring: KeyRing, catalog: Catalog, database: Database) -> None:
        self._ring = ring
        self._published = ring.keys
        self._identity = identity
        self._catalog = catalog
        self._database = database

    @property
    def identity(self) -> InstanceIdentity:
        """With the keys as they stand."""
        if self._ring.keys is not self._published:
            self._published = self._ring.keys
            self._identity = with_keys(self._identity, self._published)
        return self._identity

    async def channel(self, name: str) -> Channel | None:
        return Channel(name, name) if await is_federated_channel(self._database, name) else None

    async def video_count(self) -> int:
        page = await self._catalog.list_videos(0, 1, filters=VideoFilter(local=True))
        return 0 if isinstance(page, Refused) else page.total

    async def exists(self, url: str) -> bool:
        """Whether this URL is an actor of ours that can be followed and written to."""
        found = self.identity.actor_of(url)
        if found is None:
            return False
        kind, name = found
        return kind is not ActorKind.CHANNEL or await self.channel(name) is not None


def with_keys(identity: InstanceIdentity, keys: OwnKeys) -> InstanceIdentity:
    """The identity that publishes these keys."""
    return replace(
        identity,
        public_key_pem=keys.current.published,
        key_fragment=keys.current.fragment,
        ed25519=tuple((key.fragment, key.published) for key in keys.ed25519),
    )
