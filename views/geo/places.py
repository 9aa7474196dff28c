"""Where a viewer is: its country and the most precise subdivision known. Looked up when it comes; no address is kept.

Databases are MaxMind's binary format (mmdb), of two schemas: nested records (MaxMind's GeoLite2 and GeoIP2, DB-IP's own
files) and flat ones (``country_code``, ``state1``: DB-IP data as repackaged by ip-location-db).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from foundation.addresses import parse_address

Place: TypeAlias = tuple[str | None, str | None]
"""A country (ISO 3166-1 alpha-2, upper case) and the English name of a subdivision; either may be unknown."""

NOWHERE: Place = (None, None)

MAX_SUBDIVISION = 100
"""Longest name of a subdivision that is kept, in characters."""

_ISO = re.compile(r"[A-Z]{2}", re.ASCII)
_UNKNOWN_COUNTRIES = frozenset({"XX", "ZZ"})
"""Codes by which proxies and databases say that they do not know; ISO 3166-1 leaves both to their users."""


@dataclass(frozen=True, slots=True)
class City:
    """A city's name and middle, in degrees; only names of a country that is known with it are worth something."""

    name: str
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Locator(Protocol):
    """Finds the place of an address. Never raises, never waits, keeps nothing of what it was asked."""

    def locate(self, ip: str) -> Place: ...


class NullLocator:
    """Knows no place: for a house without databases."""

    def locate(self, ip: str) -> Place:
        return NOWHERE


class Reader(Protocol):
    """The part of ``maxminddb.Reader`` that is needed here."""

    def get(self, ip_address: str) -> Any: ...


class MmdbLocator:
    """Looks into at most two databases; a function that gives None stands for one that is not there (yet).

    The country is the first one's, else the second one's. The subdivision is the second one's, as long as both speak of
    the same country: databases of different dates and makers disagree.
    """

    def __init__(self, country: Callable[[], Reader | None], city: Callable[[], Reader | None]) -> None:
        self._country = country
        self._city = city

    def locate(self, ip: str) -> Place:
        address = parse_address(ip)
        if address is None:
            return NOWHERE
        text = str(address)
        country, _ = read_place(look_up(self._country(), text))
        city_country, subdivision = read_place(look_up(self._city(), text))
        return agreed((country, None), (city_country, subdivision))

    def city(self, ip: str) -> City | None:
        """The city of an address, as the second database knows it."""
        address = parse_address(ip)
        return None if address is None else read_city(look_up(self._city(), str(address)))


def agreed(first: Place, second: Place) -> Place:
    """What two sources say together: ``first`` goes before; a subdivision never comes from another country."""
    country, subdivision = first
    if country is None:
        country = second[0]
    if subdivision is None and second[0] in (None, country):
        subdivision = second[1]
    return (country, subdivision)


def city_of(named: City | None, found: City | None) -> City | None:
    """The city that headers name, with its middle where a database has ``found`` the same one; else the database's."""
    if named is None or found is None:
        return named or found
    same = named.name.casefold() == found.name.casefold() and found.country in (None, named.country)
    return found if same else named


def look_up(reader: Reader | None, ip: str) -> Any:
    """The record of an address; None when there is none, and for a database that cannot answer."""
    if reader is None:
        return None
    try:
        return reader.get(ip)
    except Exception:
        # A damaged file, or an IPv6 address asked of an IPv4 file: a place is never worth a failed report.
        return None


def read_place(record: Any) -> Place:
    """The place in a database's record, of either schema; what is absent or not of its type is unknown."""
    if not isinstance(record, Mapping):
        return NOWHERE
    if "country_code" in record:
        finest = record.get("state2") or record.get("state1")
        return (clean_country(record["country_code"]), clean_subdivision(finest))
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, Mapping) else None
    return (clean_country(code), _most_precise(record.get("subdivisions")))


def _most_precise(subdivisions: Any) -> str | None:
    """Databases list subdivisions from the largest to the smallest."""
    if not isinstance(subdivisions, Sequence) or not subdivisions:
        return None
    last = subdivisions[-1]
    names = last.get("names") if isinstance(last, Mapping) else None
    return clean_subdivision(names.get("en")) if isinstance(names, Mapping) else None


def read_city(record: Any) -> City | None:
    """The city in a database's record, of either schema."""
    if not isinstance(record, Mapping):
        return None
    if "country_code" in record:
        name, where = clean_subdivision(record.get("city")), record
    else:
        city, location = record.get("city"), record.get("location")
        names = city.get("names") if isinstance(city, Mapping) else None
        name = clean_subdivision(names.get("en")) if isinstance(names, Mapping) else None
        where = location if isinstance(location, Mapping) else {}
    if name is None:
        return None
    latitude, longitude = _degrees(where.get("latitude"), 90), _degrees(where.get("longitude"), 180)
    known = latitude is not None and longitude is not None
    return City(name, read_place(record)[0], latitude if known else None, longitude if known else None)


def _degrees(value: object, most: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= most else None


def clean_country(value: object) -> str | None:
    """A two-letter country code in upper case; None for anything else, and for the codes that mean *unknown*."""
    if not isinstance(value, str) or not value.isascii():
        return None
    code = value.strip().upper()
    return code if _ISO.fullmatch(code) and code not in _UNKNOWN_COUNTRIES else None


def clean_subdivision(value: object) -> str | None:
    """A name of 1 to `MAX_SUBDIVISION` printable characters; None for anything else."""
    if not isinstance(value, str):
        return None
    name = value.strip()
    return name if 0 < len(name) <= MAX_SUBDIVISION and name.isprintable() else None


@dataclass(frozen=True, slots=True)
class PlaceHeaders:
    """Names of the headers in which a trusted proxy says where the client is (``geoip.headers``)."""

    country: str | None = None
    subdivision: str | None = None
    city: str | None = None

    def read_city(self, headers: Mapping[str, str]) -> City | None:
        """As ``read``; a city without a country is not believed either."""
        country = clean_country(headers.get(self.country)) if self.country else None
        name = clean_subdivision(headers.get(self.city)) if self.city else None
        return None if country is None or name is None else City(name, country)

    def read(self, headers: Mapping[str, str]) -> Place:
        """What the headers of a request say. To be asked only of a request that came through a trusted proxy.

        A subdivision without a country is not believed: it could not be told from another country's.
        """
        country = clean_country(headers.get(self.country)) if self.country else None
        if country is None or not self.subdivision:
            return (country, None)
        return (country, clean_subdivision(headers.get(self.subdivision)))


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a database's licence asks to be shown beside results that came from it."""

    text: str
    url: str


_DB_IP = Attribution("IP Geolocation by DB-IP", "https://db-ip.com")
_MAXMIND = Attribution("Includes GeoLite2 data created by MaxMind", "https://www.maxmind.com")


def attribution_of(*descriptions: str) -> Attribution | None:
    """Whose data a database holds, going by its type, its description and where it came from; None when unknown."""
    text = " ".join(descriptions).lower().replace("-", "").replace("_", "")
    if "dbip" in text:
        return _DB_IP
    if "geolite" in text or "maxmind" in text:
        return _MAXMIND
    return None
