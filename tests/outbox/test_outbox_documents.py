from __future__ import annotations

import json

import msgspec
import pytest
from house import US, UUIDS
from support.recorded import ROOT

from federation.documents import InstanceIdentity
from federation.vocabulary import VideoObject, read_video_document
from federation.vocabulary.build import encode
from outbox.documents import video_object
from views.model import Privacy, Video

IDENTITY = InstanceIdentity(US, "us.example:8080", "PEM")


def video(**changes: object) -> Video:
    values: dict[str, object] = {
        "number": 7,
        "uuid": UUIDS[0],
        "url": f"{US}/videos/watch/{UUIDS[0]}",
        "origin": "us.example:8080",
        "local": True,
        "name": "Big Buck Bunny",
        "duration_s": 596,
        "is_live": False,
        "channel": "main",
        "privacy": Privacy.PUBLIC,
        "published_ms": 1_795_000_000_000,
        "updated_ms": 1_795_000_001_000,
        "views": 12,
    }
    return Video(**{**values, **changes})  # type: ignore[arg-type]


def test_everything_that_peertube_needs_is_there_in_its_shape() -> None:
    recorded = json.loads((ROOT / "minimal-origin" / "video.json").read_bytes())
    ours = msgspec.json.decode(encode(video_object(IDENTITY, video())))
    assert recorded.keys() <= ours.keys()
    for name, value in recorded.items():
        if name != "@context":
            assert type(ours[name]) is type(value), name
    assert recorded["icon"][0].keys() == ours["icon"][0].keys()
    assert ours["icon"][0]["mediaType"] == "image/jpeg"
    assert ours["attributedTo"][1] == {"type": "Group", "id": f"{US}/video-channels/main"}
    assert ours["duration"] == "PT596S"
    assert ours["views"] == 12
    assert ours["url"] == [{"type": "Link", "mediaType": "text/html", "href": ours["id"]}]


def test_every_term_is_declared_in_the_context() -> None:
    ours = msgspec.json.decode(encode(video_object(IDENTITY, video(is_live=True, description="About it"))))
    declared = set(ours["@context"][-1])
    vocabulary = {
        "@context",
        "to",
        "cc",
        "type",
        "id",
        "name",
        "duration",
        "published",
        "updated",
        "tag",
        "icon",
        "url",
    }
    vocabulary |= {"attributedTo", "mediaType", "content"}
    assert set(ours) <= declared | vocabulary


@pytest.mark.parametrize(
    ("privacy", "public", "unlisted"), [(Privacy.PUBLIC, True, False), (Privacy.UNLISTED, False, True)]
)
def test_our_own_reader_understands_it(privacy: Privacy, public: bool, unlisted: bool) -> None:
    read = read_video_document(encode(video_object(IDENTITY, video(privacy=privacy, is_live=True))))
    assert isinstance(read, VideoObject)
    assert (read.public, read.unlisted) == (public, unlisted)
    assert (read.uuid, read.name, read.duration_s, read.is_live, read.views) == (
        UUIDS[0],
        "Big Buck Bunny",
        596,
        True,
        12,
    )
    assert read.updated_ms == 1_795_000_001_000


@pytest.mark.parametrize(("name", "told"), [("ab", "ab_"), ("x" * 200, "x" * 120), ("abc", "abc")])
def test_names_fit_what_peertube_takes(name: str, told: str) -> None:
    assert video_object(IDENTITY, video(name=name))["name"] == told


def test_a_page_of_its_own_and_words_about_it() -> None:
    document = video_object(IDENTITY, video(page_url="https://site.example/1", description="y" * 20_000))
    assert document["url"][0]["href"] == "https://site.example/1"
    assert len(document["content"]) == 10_000
    assert "content" not in video_object(IDENTITY, video(description="no"))
