from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from federation.peers import Software, instance_actor_url, nodeinfo_url, read_nodeinfo
from federation.peers.software import appends_viewers

EXCHANGES = Path(__file__).parents[1] / "fixtures" / "peertube-6.3" / "exchanges"
HOST = "127.0.0.1:9001"


def answered(name: str) -> Any:
    return json.loads(json.loads((EXCHANGES / f"{name}.json").read_text())["response"]["body"])


def test_what_peertube_says_of_itself() -> None:
    index = answered("01-nodeinfo-wellknown")
    assert nodeinfo_url(index, HOST) == f"http://{HOST}/nodeinfo/2.0.json"
    assert instance_actor_url(index, HOST) == f"http://{HOST}/accounts/peertube"
    assert read_nodeinfo(answered("27-nodeinfo-2.0")) == Software("peertube", "6.3.0")


@pytest.mark.parametrize(
    "href",
    ["data:application/json,{}", "http://127.0.0.1:9002/nodeinfo", "//127.0.0.1:9001/x", 5, None, "file:///etc/passwd"],
)
def test_an_index_leads_nowhere_else(href: object) -> None:
    rel = "http://nodeinfo.diaspora.software/ns/schema/2.1"
    assert nodeinfo_url({"links": [{"rel": rel, "href": href}, 7]}, HOST) is None


@pytest.mark.parametrize("index", [None, [], {}, {"links": {}}, {"links": [None]}])
def test_no_index(index: object) -> None:
    assert nodeinfo_url(index, HOST) is None
    assert instance_actor_url(index, HOST) is None


@pytest.mark.parametrize(
    "document", [None, [], {}, {"software": []}, {"software": {"name": 5}}, {"software": {"name": ""}}]
)
def test_no_nodeinfo(document: object) -> None:
    assert read_nodeinfo(document) is None


@pytest.mark.parametrize("value", [0, -1, True, "500", 1.5, None, 10**30, [5]])
def test_a_limit_that_is_none_is_not_said(value: object) -> None:
    offers = {"batch": True, "batchItems": value, "maxBody": value}
    document = {"software": {"name": "fediviews", "version": "1"}, "metadata": {"fediviews": offers}}
    assert read_nodeinfo(document) == Software("fediviews", "1", batch=True)


def test_offers_count_only_from_fediviews() -> None:
    document: dict[str, Any] = {
        "software": {"name": "Fediviews", "version": "0.1.0"},
        "metadata": {"fediviews": {"protocol": 1, "yours": True, "batch": "yes"}},
    }
    assert read_nodeinfo(document) == Software("fediviews", "0.1.0", yours=True, batch=False)
    document["software"]["name"] = "mastodon"
    assert read_nodeinfo(document) == Software("mastodon", "0.1.0")


@pytest.mark.parametrize(
    ("software", "appends"),
    [
        (None, False),
        (Software("peertube", "6.3.0"), True),
        (Software("peertube", "7.0.1"), True),
        (Software("peertube", "7.1.0-rc.1"), False),
        (Software("peertube", "8.2.1"), False),
        (Software("peertube", "10.0"), False),
        (Software("peertube", ""), True),
        (Software("fediviews", "0.1.0"), False),
        (Software("mastodon", "4.0"), False),
    ],
)
def test_who_counts_a_viewer_twice(software: Software | None, appends: bool) -> None:
    assert appends_viewers(software) is appends
