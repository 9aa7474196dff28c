"""Statistics as PeerTube's API writes them, and as CSV. Pure.

Every answer also says ``asOf``, the instant at which it was true: a member of the JSON, the header ``X-As-Of`` of CSV.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from foundation.clock import iso_ms
from views.routes.replies import json
from views.routes.tabular import Cell, csv_response, csv_text
from views.stats.model import Metric, Overall, Retention, Share, Timeseries, UserAgents

_KEPT_BY_NOBODY = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer in both forms; ``name`` is the file's."""

    name: str
    body: dict[str, Any]
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    as_of_ms: int

    def response(self, *, csv: bool) -> web.Response:
        if not csv:
            return json({**self.body, "asOf": iso_ms(self.as_of_ms)}, headers=_KEPT_BY_NOBODY)
        headers = {**_KEPT_BY_NOBODY, "X-As-Of": iso_ms(self.as_of_ms)}
        return csv_response(self.name, csv_text(self.header, self.rows), headers)


ELSEWHERE = "ZZ"
"""The country of viewers whose countries are too small to be shown: CLDR's code for an unknown region."""


def crowded(overall: Overall, at_least: int) -> Overall:
    """Only places with ``at_least`` viewers, so that nobody can be told by where they are.

    Smaller countries are one, ``ZZ``, where they come to as many together; smaller subdivisions are left out.
    """
    countries = [each for each in overall.countries if each.viewers >= at_least]
    rest = sum(each.viewers for each in overall.countries) - sum(each.viewers for each in countries)
    if rest >= at_least and len(countries) < len(overall.countries):
        countries.append(Share(ELSEWHERE, rest))
    subdivisions = [each for each in overall.subdivisions if each.viewers >= at_least]
    return replace(overall, countries=tuple(countries), subdivisions=tuple(subdivisions))


def overall_answer(
    overall: Overall, attribution: str | None, *, totals: Mapping[str, Any] | None = None, name: str = "overall"
) -> Answer:
    """``attribution`` is what the licence of the place names wants shown beside them; ``totals`` come first.

    CSV: a line per number (``statistic,name,value``); a country and a subdivision have a name as well.
    """
    peak_date = None if overall.viewers_peak_ms is None else iso_ms(overall.viewers_peak_ms)
    numbers: dict[str, Any] = {
        **(totals or {}),
        "averageWatchTime": overall.average_watch_time_s,
        "totalWatchTime": overall.total_watch_time_s,
        "totalViewers": overall.total_viewers,
        "viewersPeak": overall.viewers_peak,
        "viewersPeakDate": peak_date,
    }
    body: dict[str, Any] = {
        **numbers,
        "countries": [{"isoCode": each.name, "viewers": each.viewers} for each in overall.countries],
        "subdivisions": _shares(overall.subdivisions),
    }
    rows: list[Sequence[Cell]] = [(statistic, None, value) for statistic, value in numbers.items()]
    rows += _named("country", overall.countries) + _named("subdivision", overall.subdivisions)
    if attribution is not None:
        body["attribution"] = attribution
        rows.append(("attribution", None, attribution))
    return Answer(name, body, ("statistic", "name", "value"), rows, overall.as_of_ms)


def retention_answer(retention: Retention) -> Answer:
    points = retention.points
    body = {"data": [{"second": second, "retentionPercent": percent} for second, percent in points]}
    return Answer("retention", body, ("second", "retentionPercent"), points, retention.as_of_ms)


def timeseries_answer(series: Timeseries, metric: Metric) -> Answer:
    points = [(iso_ms(at_ms), value) for at_ms, value in series.points]
    body = {
        "groupInterval": series.group_interval,
        "data": [{"date": date, "value": value} for date, value in points],
    }
    return Answer(f"timeseries-{metric.value}", body, ("date", metric.value), points, series.as_of_ms)


def agents_answer(agents: UserAgents) -> Answer:
    body = {
        "clients": _shares(agents.clients),
        "devices": _shares(agents.devices),
        "operatingSystems": _shares(agents.operating_systems),
    }
    rows = _named("client", agents.clients) + _named("device", agents.devices)
    rows += _named("operatingSystem", agents.operating_systems)
    return Answer("user-agent", body, ("kind", "name", "viewers"), rows, agents.as_of_ms)


def _shares(shares: Iterable[Share]) -> list[dict[str, Any]]:
    return [{"name": each.name, "viewers": each.viewers} for each in shares]


def _named(kind: str, shares: Iterable[Share]) -> list[Sequence[Cell]]:
    return [(kind, each.name, each.viewers) for each in shares]
