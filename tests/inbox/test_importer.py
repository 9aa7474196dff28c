"""Bringing in remote videos: what is believed of a document, whose word counts, and what one import may cost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.inbox_house import REMOTE_UUID, UUID, House, actor_document, video_document

from federation.peers import PeerPolicy
from federation.signatures.reasons import SignatureReason, refuse
from federation.vocabulary import VideoObject, read_video
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import Refused
from inbox.importer import MAX_IN_FLIGHT
from views.model import Privacy, Video

THERE = "https://there.example"
URL = f"{THERE}/videos/watch/{REMOTE_UUID}"
PERSON = f"{THERE}/accounts/root"
GROUP = f"{THERE}/video-channels/films"


@pytest.fixture
async def house(database: Database, clock: ManualClock) -> House:
    house = House(database, clock, policies=[PeerPolicy("blocked.example", blocked=True)])
    house.web.documents[URL] = video_document(THERE)
    return await house.start()


def verdict_of(outcome: Video | Refused | None) -> str:
    assert outcome is not None
    return outcome.reason if isinstance(outcome, Refused) else "kept"


async def test_a_video_is_kept_as_its_host_describes_it(house: House) -> None:
    video = await house.importer.import_video(URL)
    assert isinstance(video, Video)
    assert (video.url, video.uuid, video.origin, video.local) == (URL, REMOTE_UUID, "there.example", False)
    assert (video.name, video.duration_s, video.views, video.privacy) == ("Sintel", 888, 12, Privacy.PUBLIC)
    assert (video.owner, video.channel) == (PERSON, GROUP)
    assert await house.catalog.by_url(URL) == video
    assert house.web.asked == [URL]


@pytest.mark.parametrize(
    ("attributed_to", "owner", "fetched"),
    [
        ([{"type": "Person", "id": PERSON}], PERSON, 0),
        ([{"type": "Group", "id": GROUP}], PERSON, 2),
        ([GROUP], PERSON, 2),
        ([PERSON, GROUP], PERSON, 1),
        ([{"type": "Group", "id": "https://elsewhere.example/c"}, {"type": "Person", "id": PERSON}], PERSON, 0),
        ([{"type": "Person", "id": "https://elsewhere.example/a"}], None, 0),
        ([f"{THERE}/accounts/nobody"], None, 1),
        ([f"{THERE}/loop/1"], None, 3),
    ],
)
async def test_the_account_above_a_video(
    house: House, attributed_to: list[Any], owner: str | None, fetched: int
) -> None:
    documents = house.web.documents
    documents[URL] = video_document(THERE, attributedTo=attributed_to)
    documents[PERSON] = actor_document(PERSON)
    documents[GROUP] = actor_document(GROUP, kind="Group", attributedTo=[{"type": "Person", "id": PERSON}])
    for number in range(1, 10):
        loop = f"{THERE}/loop/{number}"
        documents[loop] = actor_document(loop, kind="Group", attributedTo=f"{THERE}/loop/{number + 1}")
    video = await house.importer.import_video(URL)
    assert (video.owner if isinstance(video, Video) else None) == owner
    assert len(house.web.asked) == 1 + fetched


@pytest.mark.parametrize(
    ("url", "reason", "status"),
    [
        ("ftp://there.example/x", "bad_url", 400),
        ("there.example", "bad_url", 400),
        ("", "bad_url", 400),
        ("https://user@there.example/x", "bad_url", 400),
        (f"https://tube.example/videos/watch/{UUID}", "own_video", 409),
        ("https://TUBE.example:443/x", "own_video", 409),
        ("https://blocked.example/x", "blocked", 403),
    ],
)
async def test_what_is_never_asked_for(house: House, url: str, reason: str, status: int) -> None:
    outcome = await house.importer.import_video(url)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.status) == (reason, status)
    assert house.web.asked == []


def without(member: str) -> dict[str, Any]:
    document = video_document(THERE)
    del document[member]
    return document


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (without("uuid"), "bad_video"),
        (without("published"), "bad_video"),
        (without("duration"), "bad_video"),
        (without("attributedTo"), "bad_video"),
        (without("to"), "bad_video"),
        (video_document(THERE, type="Note"), "bad_video"),
        (video_document(THERE, views=-1), "bad_video"),
        (video_document("https://elsewhere.example"), "bad_video"),
        (video_document(THERE, id=f"{THERE}/another"), "video_unavailable"),
        (video_document(THERE, id=7), "bad_video"),
        (refuse(SignatureReason.KEY_UNAVAILABLE, "timeout"), "video_unavailable"),
        (refuse(SignatureReason.ACTOR_GONE, "status 410"), "video_gone"),
    ],
)
async def test_what_is_not_kept(house: House, document: Any, reason: str) -> None:
    house.web.documents[URL] = document
    assert verdict_of(await house.importer.import_video(URL)) == reason
    assert await house.catalog.by_url(URL) is None


async def test_a_page_leads_to_the_video_of_its_own_host(house: House) -> None:
    house.web.documents[f"{THERE}/w/short"] = video_document(THERE)
    video = await house.importer.import_video(f"{THERE}/w/short")
    assert isinstance(video, Video)
    assert video.url == URL
    assert house.web.asked == [f"{THERE}/w/short", URL]


@pytest.mark.parametrize("target", ["https://blocked.example", "https://third.example", "https://tube.example"])
async def test_a_redirect_leads_to_no_other_host(house: House, target: str) -> None:
    moved = f"{target}/videos/watch/{REMOTE_UUID}"
    house.web.documents[moved] = video_document(target)
    house.web.moved[URL] = moved
    assert verdict_of(await house.importer.import_video(URL)) == "bad_video"
    assert await house.catalog.by_url(moved) is None


async def test_a_video_that_its_host_does_not_know_any_more_is_forgotten(house: House) -> None:
    await house.remote(THERE)
    del house.web.documents[URL]
    assert verdict_of(await house.importer.import_video(URL)) == "video_gone"
    assert await house.catalog.by_url(URL) is None


async def test_a_silent_host_costs_a_video_nothing(house: House) -> None:
    video = await house.remote(THERE)
    house.web.documents[URL] = refuse(SignatureReason.KEY_UNAVAILABLE, "timeout")
    assert verdict_of(await house.importer.import_video(URL)) == "video_unavailable"
    assert await house.catalog.by_url(URL) == video


def vouched(**changes: Any) -> VideoObject:
    video = read_video(video_document(THERE, **changes))
    assert isinstance(video, VideoObject)
    return video


async def test_a_document_that_names_nobody_public_any_more_is_forgotten(house: House) -> None:
    await house.remote(THERE)
    assert verdict_of(await house.importer.keep(vouched(to=[f"{THERE}/accounts/root/followers"]))) == "bad_video"
    assert await house.catalog.by_url(URL) is None


async def test_an_unlisted_video_is_kept_as_such(house: House) -> None:
    video = await house.importer.keep(vouched(to=[], cc=["https://www.w3.org/ns/activitystreams#Public"]))
    assert isinstance(video, Video)
    assert video.privacy is Privacy.UNLISTED


async def test_a_document_that_counts_no_views_takes_none_away(house: House) -> None:
    await house.importer.keep(vouched(views=40))
    video = await house.importer.keep(vouched(views=None))
    assert isinstance(video, Video)
    assert video.views == 40


class Gate:
    """Holds every fetch until it is opened."""

    def __init__(self, house: House) -> None:
        self._fetch = house.web.fetch_document
        self.open = asyncio.Event()
        house.web.fetch_document = self  # type: ignore[method-assign]

    async def __call__(self, url: str) -> Any:
        await self.open.wait()
        return await self._fetch(url)


async def test_many_who_ask_make_one_fetch(house: House) -> None:
    gate = Gate(house)
    asking = [asyncio.create_task(house.importer.import_video(URL)) for _ in range(20)]
    asking.append(
        asyncio.create_task(house.importer.import_video(f"https://THERE.example/videos/watch/{REMOTE_UUID}#x"))
    )
    await asyncio.sleep(0)
    asking[0].cancel()
    gate.open.set()
    outcomes = await asyncio.gather(*asking[1:])
    assert {verdict_of(outcome) for outcome in outcomes} == {"kept"}
    assert house.web.asked == [URL]


async def test_only_so_many_imports_are_under_way(house: House) -> None:
    gate = Gate(house)
    urls = [f"{THERE}/videos/{number}" for number in range(MAX_IN_FLIGHT)]
    asking = [asyncio.create_task(house.importer.import_video(url)) for url in urls]
    await asyncio.sleep(0)
    outcome = await house.importer.import_video(URL)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.status, outcome.retry_after_s) == ("too_many_imports", 503, 10)
    gate.open.set()
    assert {verdict_of(outcome) for outcome in await asyncio.gather(*asking)} == {"video_gone"}
    assert verdict_of(await house.importer.import_video(URL)) == "kept"


async def test_an_answer_that_waited_long_enough_does_not_stop_the_import(house: House) -> None:
    gate = Gate(house)
    received_ms = house.clock.now_ms()
    house.clock.advance(5_000)
    assert await house.importer.import_for(URL, received_ms) is None
    gate.open.set()
    # Joins the one that is under way.
    assert verdict_of(await house.importer.import_video(URL)) == "kept"
    assert house.web.asked == [URL]


async def test_stopping_ends_what_is_under_way(house: House) -> None:
    Gate(house)
    asking = asyncio.create_task(house.importer.import_video(URL))
    await asyncio.sleep(0)
    await house.importer.stop()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_refreshing_asks_for_what_is_old_and_not_again_at_once(house: House, clock: ManualClock) -> None:
    gone = await house.remote(THERE, UUID)
    kept = await house.remote(THERE)
    house.web.documents[URL] = video_document(THERE, name="Sintel, renamed", updated="2024-01-01T00:00:00Z")
    clock.advance(1_000)

    async def stale() -> list[Video]:
        return list(await house.catalog.stale_remote(clock.now_ms()))

    assert await house.importer.refresh(stale) == 1
    renamed = await house.catalog.by_number(kept.number)
    assert renamed is not None
    assert renamed.name == "Sintel, renamed"
    assert await house.catalog.by_number(gone.number) is None
    assert await stale() == []
