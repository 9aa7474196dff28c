"""Where visitors are, coarsely: a country, perhaps a city, and never a place with fewer than ``k`` visitors. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from views.geo.places import City
from views.pages.centroids import CENTROIDS

_PART = "|"


@dataclass(frozen=True, slots=True)
class Spot:
    """A country, and perhaps a city with its own middle, in tenths of a degree (about 10 km)."""

    country: str
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None

    @property
    def name(self) -> str:
        """In the live store; ``named`` reads it back."""
        if self.city is None:
            return self.country
        parts = [self.country, self.city[:80].replace(_PART, " ")]
        if self.latitude is not None and self.longitude is not None:
            parts += [f"{self.latitude:.1f}", f"{self.longitude:.1f}"]
        return _PART.join(parts)

    @classmethod
    def named(cls, name: str) -> Spot:
        parts = name.split(_PART)
        if len(parts) == 4:
            return cls(parts[0], parts[1], float(parts[2]), float(parts[3]))
        return cls(parts[0], parts[1] if len(parts) == 2 else None)


@dataclass(frozen=True, slots=True)
class Location:
    """What is shown: how many are about there."""

    latitude: float
    longitude: float
    country: str
    count: int
    city: str | None = None


def spot_of(country: str | None, city: City | None) -> Spot | None:
    """Where a visitor is counted; None where nothing is known. A city whose middle is not known cannot be drawn: who is
    there is counted with the country."""
    if country is None:
        return None
    if city is None or city.latitude is None or city.country not in (None, country):
        return Spot(country)
    return Spot(country, city.name, _tenth(city.latitude), _tenth(city.longitude))


def locations(spots: Mapping[Spot, int], k: int) -> list[Location]:
    """The most visited first. A city with fewer than ``k`` visitors, or without a middle, is counted with the rest of
    its country, and a country with fewer than ``k`` left is not shown: nobody is alone at a place."""
    shown: list[Location] = []
    rest: Counter[str] = Counter()
    for spot, count in spots.items():
        if spot.city is None or spot.latitude is None or spot.longitude is None or count < k:
            rest[spot.country] += count
        else:
            shown.append(Location(spot.latitude, spot.longitude, spot.country, count, spot.city))
    for country, count in rest.items():
        place = CENTROIDS.get(country)
        if count >= k and place is not None:
            shown.append(Location(*place, country, count))
    return sorted(shown, key=lambda one: (-one.count, one.country, one.city or ""))


def _tenth(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, 1)
