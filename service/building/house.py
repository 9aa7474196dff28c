"""What a running service is made of: the towers and the doors, joined. Built here, started by ``service.app``."""

from __future__ import annotations

import asyncio
import logging

from foundation.errors import StorageUnavailable
from foundation.principal import Role
from foundation.tokens import TokenBook, TokenGrant
from outbox.client_auth import ClientAuthenticator
from service.building.directory import ServiceDirectory
from service.building.door_in import entrance
from service.building.door_out import outbox, outlet
from service.building.federation_tower import federation_tower
from service.building.ground import Ground
from service.building.late import Late, LateEvents
from service.building.livekit import livekit_house
from service.building.principals import grants_of, signed_clients
from service.building.views_tower import ViewsTower, views_tower
from service.building.webhooks import posting, telling, webhooks
from service.config import Config, generate_admin_token
from service.health.peer_gauges import PeerGauges
from service.health.scope_gauges import ScopeGauges
from service.housekeeping import Housekeeping
from service.workers.siblings import Siblings, Worker

_log = logging.getLogger("fediviews")

REFRESH_WITHIN_S = 1.0
"""Of the gauges that ask a store, before a scrape."""


class House:
    """``config`` is what holds now: some of it changes while the service runs."""

    def __init__(self, ground: Ground, worker: Worker | None) -> None:
        self.ground = ground
        self.config = config = ground.config
        self.siblings: Siblings | None = None
        if worker is not None:
            self.siblings = Siblings(worker, config.storage.directory, ground.metrics)
        self.admin_token_path: str | None = None
        self.tokens = TokenBook(self.grants(config))

        events = LateEvents()
        self.federation = federation = federation_tower(ground, events)
        late_views: Late[ViewsTower] = Late()
        self.posting = posting(config, ground.clock, ground.metrics)
        self.webhooks = webhooks(ground, self.posting)
        self.outlet = out = outlet(ground, federation, late_views, self.webhooks)
        self.views = views = views_tower(
            ground,
            out.announcer,
            identity=federation.identity,
            peers=federation.peers,
            notifier=self.webhooks,
            counted=self.webhooks,
        )
        late_views.value = views
        self.webhooks.processed = telling(views.telemetry)
        self.outbox = door_out = outbox(ground, federation, views, out)
        events.to.value = door_out.events
        self.directory = ServiceDirectory(federation.identity, federation.ring, views.catalog, ground.database)
        self.entrance = entrance(
            ground,
            federation,
            views,
            events=events,
            following=door_out.following,
            directory=self.directory,
            committed=out.deliverer.committed,
        )
        self.clients = ClientAuthenticator(
            tokens=self.tokens, profile=federation.profile, clock=ground.clock, clients=signed_clients(config.tokens)
        )
        self.housekeeping = Housekeeping(ground, federation, views, out, door_out, self.entrance, events)
        self.livekit = livekit_house(ground, views)
        self._scopes = ScopeGauges(views.viewers, views.counter, ground.metrics)
        self._peer_gauges = PeerGauges(
            out.reports,
            federation.peers,
            ground.clock,
            ground.metrics,
            limit=config.federation.peer_metrics,
            serves=ground.together.leases.holds,
        )
        if self.siblings is not None:
            self.siblings.refresh = self._refresh_gauges

    def grants(self, config: Config) -> list[TokenGrant]:
        """The bearer tokens of a configuration; one that names none gets a generated one."""
        if config.tokens:
            return grants_of(config.tokens)
        token, path = generate_admin_token(config.storage.directory)
        self.admin_token_path = str(path)
        return [TokenGrant("admin", Role.ADMIN, token)]

    async def metrics_page(self) -> bytes:
        await self._refresh_gauges()
        return await self.rendered_metrics()

    async def rendered_metrics(self) -> bytes:
        """Counters as they are, gauges as they were last brought up to date; of all workers."""
        return self.ground.metrics.render() if self.siblings is None else await self.siblings.metrics()

    async def _refresh_gauges(self) -> None:
        """What no store answers for in time keeps its last value: whoever watches wants to see the rest then."""
        self.views.telemetry_house.series.refresh()
        for refresh in (self._scopes.refresh, self._peer_gauges.refresh):
            try:
                async with asyncio.timeout(REFRESH_WITHIN_S):
                    await refresh()
            except (StorageUnavailable, TimeoutError) as problem:
                _log.debug("gauges keep their last values: %s", problem)
