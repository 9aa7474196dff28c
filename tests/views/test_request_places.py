"""Headers about a client's place: believed from a trusted proxy, and from nobody else."""

from __future__ import annotations

import ipaddress

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from views.geo.places import NOWHERE, Place, PlaceHeaders
from views.routes.places import RequestPlaces

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"),)
NAMED = PlaceHeaders("X-Country", "X-Region")
SAID = {"x-country": "FR", "x-region": "Brittany"}


def request(remote: str, **headers: str) -> web.BaseRequest:
    lines = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return make_mocked_request("POST", "/", headers=lines).clone(remote=remote)


@pytest.mark.parametrize(
    ("remote", "place"),
    [
        ("10.1.2.3", ("FR", "Brittany")),
        ("::ffff:10.1.2.3", ("FR", "Brittany")),
        ("198.51.100.7", NOWHERE),
        ("", NOWHERE),
        ("unix:", NOWHERE),
    ],
)
def test_only_a_trusted_proxy_is_believed(remote: str, place: Place) -> None:
    assert RequestPlaces(NAMED, TRUSTED)(request(remote, **{"x-forwarded-for": "10.9.9.9", **SAID})) == place


def test_without_names_nothing_is_read() -> None:
    assert RequestPlaces(None, TRUSTED)(request("10.1.2.3", **SAID)) == NOWHERE


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"x-country": "fr"}, ("FR", None)),
        ({"x-country": "XX", "x-region": "Brittany"}, NOWHERE),
        ({"x-country": "FRA"}, NOWHERE),
        ({"x-country": "<script>"}, NOWHERE),
        ({"x-country": "FR", "x-region": "a\tb"}, ("FR", None)),
        ({"x-country": "FR", "x-region": "x" * 101}, ("FR", None)),
        ({"x-region": "Brittany"}, NOWHERE),
    ],
)
def test_what_no_country_or_name_looks_like_is_left(said: dict[str, str], place: Place) -> None:
    assert RequestPlaces(NAMED, TRUSTED)(request("10.1.2.3", **said)) == place
