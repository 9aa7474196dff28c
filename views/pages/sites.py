"""The web sites of the configuration, and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import select

from foundation.database import Database, Transaction, upsert
from foundation.errors import Refused
from views.pages.model import Site
from views.pages.tables import page_sites

UNKNOWN = Refused("site_unknown", "This site is not counted here: it is not among pages.sites", 404)


@dataclass(frozen=True, slots=True)
class NamedSite:
    """As the configuration has it. Without origins the host's own are meant."""

    host: str
    origins: tuple[str, ...] = ()
    public: bool = True
    listed: bool = False


class Sites:
    """Known from ``load`` on. Everybody else is refused."""

    def __init__(self, db: Database, named: Iterable[NamedSite]) -> None:
        self._db = db
        self._named = tuple(named)
        self._sites: dict[str, Site] = {}
        self._origins: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Look up the numbers, and give them to new sites. Raises StorageUnavailable."""
        hosts = [site.host for site in self._named]
        numbers = await self._db.write(partial(_numbers, hosts=hosts)) if hosts else {}
        self._sites = {
            site.host: Site(
                numbers[site.host],
                site.host,
                frozenset(site.origins) or _own_origins(site.host),
                site.public,
                site.public and site.listed,
            )
            for site in self._named
        }
        self._origins = frozenset(origin for site in self._sites.values() for origin in site.origins)

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites.values())

    def find(self, host: str) -> Site | Refused:
        """Refused: ``site_unknown``. The host of a browser's location is lower case already; others are folded."""
        return self._sites.get(host) or self._sites.get(host.strip().lower().removesuffix(".")) or UNKNOWN

    def only(self) -> Site | None:
        """The site that is meant where none is named: there is one."""
        return next(iter(self._sites.values())) if len(self._sites) == 1 else None

    def is_origin(self, origin: str) -> bool:
        """Whether pages of any site come from there."""
        return origin in self._origins


def _own_origins(host: str) -> frozenset[str]:
    return frozenset((f"https://{host}", f"http://{host}"))


async def _numbers(tx: Transaction, hosts: list[str]) -> Mapping[str, int]:
    add = upsert(tx, page_sites).on_conflict_do_nothing()
    await tx.execute(add, [{"host": host} for host in sorted(hosts)])
    of = page_sites.c
    rows = await tx.execute(select(of.host, of.number).where(of.host.in_(hosts)))
    return {row.host: row.number for row in rows}
