"""GeoIP files, and whose word about addresses is taken."""

from __future__ import annotations

from collections.abc import Sequence

from service.doctor.model import Finding, Surroundings, ok, warning
from views.geo.files import BadDatabaseError, Store

OLD_AFTER_DAYS = 60
DIRECTORY = "geoip"

_GEO, _PROXY = "geoip", "proxy"
_DAY_S = 86_400


async def geoip(around: Surroundings) -> Sequence[Finding]:
    """Age of our own copies."""
    configured = around.config.geoip
    names = [name for name in ("country", "city") if getattr(configured, name) is not None]
    found = []
    for name in names:
        opened = Store(around.config.storage.directory / DIRECTORY, name).open()
        if opened is None:
            advice = "is the path or the URL right? The log of the service says why it is not brought in"
            found.append(warning(_GEO, f"{name}: no database yet", advice))
        elif isinstance(opened, BadDatabaseError):
            found.append(warning(_GEO, f"{name}: {opened}", f"delete {DIRECTORY}/{name}.mmdb and restart"))
        else:
            days = (around.clock.now_ms() // 1000 - opened[0].built_s) // _DAY_S
            says = f"{name}: built {days} days ago"
            old = days > OLD_AFTER_DAYS
            found.append(warning(_GEO, says, "bring in a newer one: addresses move") if old else ok(_GEO, says))
    return found


async def proxy(around: Surroundings) -> Sequence[Finding]:
    """What the configuration says of what stands in front, and what a running service has noticed."""
    config = around.config
    hint = around.proxy_hint()
    if hint is not None:
        return [warning(_PROXY, hint, "see Behind a proxy in docs/operations.md")]
    secure = str(config.instance.url).startswith("https://")
    local = config.listen.host in ("127.0.0.1", "::1", "localhost")
    only_here = all(network.is_loopback for network in config.listen.trusted_proxies)
    if secure and not local and only_here:
        says = f"the service listens on {config.listen.host}, and only proxies on this machine are trusted"
        advice = "name the proxy in listen.trusted_proxies if it is another machine, else listen on 127.0.0.1"
        return [warning(_PROXY, says, advice)]
    return [ok(_PROXY, f"trusted: {', '.join(map(str, config.listen.trusted_proxies)) or 'none'}")]
