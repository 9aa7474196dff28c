"""How names of other hosts are looked up, as configured; each client has look-ups of its own."""

from __future__ import annotations

from collections.abc import Callable

from foundation.clock import Clock
from foundation.dialing import SystemResolver
from foundation.lookups import Lookup, LookupLimits, Lookups
from foundation.metrics import Metrics
from foundation.name_servers import NameServers
from service.config import Config, Resolver

CLIENTS = ("fetch", "delivery", "origin")
"""Whose look-ups have metrics: those that strangers can cause."""


def lookups_of(config: Config, clock: Clock, ended: Callable[[Lookup], None] = lambda how: None) -> Lookups:
    federation = config.federation
    by_system = federation.resolver is Resolver.SYSTEM
    inner = SystemResolver() if by_system else NameServers(federation.name_servers)
    return Lookups(inner, clock, LookupLimits(federation.lookup_timeout_ms, federation.lookups_at_once), ended)


def measured_lookups(config: Config, clock: Clock, metrics: Metrics) -> dict[str, Lookups]:
    """One for each of `CLIENTS`."""
    total = metrics.counter(
        "fediviews_name_lookups_total", "Look-ups of names by how they ended", ("client", "outcome")
    )
    in_flight = metrics.gauge("fediviews_name_lookups_in_flight", "Look-ups under way or waiting", ("client",))
    made = {}
    for client in CLIENTS:
        counts = {how: total.labels(client, how) for how in Lookup}
        made[client] = lookups_of(config, clock, lambda how, counts=counts: counts[how].inc())  # type: ignore[misc]
        in_flight.labels(client).set_function(made[client].in_flight)
    return made
