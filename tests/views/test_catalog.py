from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest
from catalogs import ORIGIN, REMOTE_UUID, UUID, RecordingAnnouncer, a_local, a_remote, draft, make_catalog, remote
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import Refused, StorageUnavailable
from views.catalog.catalog import MISSING_FOR_MS, Catalog, CatalogBounds
from views.catalog.drafts import judge_draft
from views.catalog.listing import VideoFilter, VideoPage
from views.model import Privacy, Video, VideoDraft
from views.tables import videos
from views.tallies import CountedView, add_views

EVERY_DATABASE = True


@pytest.fixture
def announcer() -> RecordingAnnouncer:
    return RecordingAnnouncer()


@pytest.fixture
def catalog(database: Database, clock: ManualClock, announcer: RecordingAnnouncer) -> Catalog:
    return make_catalog(database, clock, announcer)


def refusal(verdict: object) -> str:
    assert isinstance(verdict, Refused), verdict
    return verdict.reason


async def test_a_registered_video_is_found_by_every_name(
    catalog: Catalog, database: Database, clock: ManualClock
) -> None:
    video = await a_local(catalog)
    assert (video.local, video.origin, video.views) == (True, ORIGIN, 0)
    assert video.url == f"https://{ORIGIN}/videos/watch/{UUID}"
    assert video.published_ms == video.updated_ms == clock.now_ms()
    for found in (catalog.peek_number(video.number), catalog.peek_uuid(UUID), catalog.peek_url(video.url)):
        assert found is video
    other = make_catalog(database, clock)
    assert other.peek_number(video.number) is None
    assert await other.find(video.number) == await other.find(UUID) == await other.by_url(video.url) == video


async def test_who_is_told_of_a_change(catalog: Catalog, announcer: RecordingAnnouncer) -> None:
    steps = [
        ({"privacy": Privacy.PRIVATE}, []),
        ({"privacy": Privacy.PRIVATE, "name": "Still secret"}, []),
        ({"privacy": Privacy.UNLISTED}, ["published"]),
        ({"privacy": Privacy.UNLISTED, "duration_s": 600}, ["updated"]),
        ({"privacy": Privacy.PUBLIC}, ["published"]),
        ({"privacy": Privacy.PUBLIC}, []),
        ({"name": "Another name"}, ["updated"]),
        ({"privacy": Privacy.PRIVATE}, ["deleted"]),
    ]
    for changes, events in steps:
        await a_local(catalog, **changes)
        assert announcer.take() == events, changes


async def test_each_change_is_later_even_when_the_clock_stands(catalog: Catalog, clock: ManualClock) -> None:
    first = await a_local(catalog)
    second = await a_local(catalog, name="Second")
    clock.set_wall(clock.now_ms() - 60_000)
    third = await a_local(catalog, name="Third")
    assert first.updated_ms < second.updated_ms < third.updated_ms
    assert first.number == second.number == third.number


async def test_a_draft_without_change_changes_nothing(catalog: Catalog, announcer: RecordingAnnouncer) -> None:
    first = await a_local(catalog)
    commits = announcer.commits
    assert await catalog.put_local(draft()) == (first, False)
    assert announcer.commits == commits


async def test_two_registrations_at_once_make_one_video(catalog: Catalog) -> None:
    verdicts = await asyncio.gather(*(catalog.put_local(draft()) for _ in range(10)))
    created = [verdict[1] for verdict in verdicts if not isinstance(verdict, Refused)]
    assert sorted(created) == [False] * 9 + [True]


async def test_what_is_told_is_committed_with_the_video_or_not_at_all(database: Database, clock: ManualClock) -> None:
    class Broken(RecordingAnnouncer):
        async def video_published(self, tx: Transaction, video: Video) -> None:
            raise RuntimeError("the log is broken")

    catalog = make_catalog(database, clock, Broken())
    with pytest.raises(RuntimeError, match="log is broken"):
        await catalog.put_local(draft())
    assert await catalog.find(UUID) is None


async def test_names_do_not_turn_text_round(catalog: Catalog) -> None:
    said = {"name": "\U0001f3a5 \u202egnp.exe\x1b film", "description": "one\n\u2067two"}
    kept = await catalog.put_local(draft(**said))
    assert isinstance(kept, tuple)
    assert (kept[0].name, kept[0].description) == ("\U0001f3a5 gnp.exe  film", "one\ntwo")
    again = await catalog.put_local(draft(**said))
    assert again == (kept[0], False)
    theirs = await a_remote(catalog, **said)
    assert (theirs.name, theirs.description) == (kept[0].name, kept[0].description)
    nameless = await a_remote(catalog, name="\u202e \u2069", updated_ms=theirs.updated_ms + 1)
    assert nameless.name == REMOTE_UUID
    assert refusal(await catalog.put_local(draft(name="\u202ea\u202cb\u202c"))) == "bad_name"


BAD_DRAFTS: list[tuple[dict[str, Any], str]] = [
    ({"uuid": UUID.upper()}, "bad_uuid"),
    ({"uuid": "a44521d0-0fb8-1ade-8002-3385545c3318"}, "bad_uuid"),
    ({"uuid": ""}, "bad_uuid"),
    ({"name": "ab"}, "bad_name"),
    ({"name": "a" * 121}, "bad_name"),
    ({"name": "      "}, "bad_name"),
    ({"name": "nul\0nul"}, "bad_name"),
    ({"name": "half \ud800"}, "bad_name"),
    ({"duration_s": -1}, "bad_duration"),
    ({"duration_s": 2**63}, "bad_duration"),
    ({"channel": ""}, "bad_channel"),
    ({"channel": "Main"}, "bad_channel"),
    ({"channel": "main\n"}, "bad_channel"),
    ({"channel": "a" * 51}, "bad_channel"),
    ({"published_ms": -1}, "bad_published"),
    ({"published_ms": 10**18}, "bad_published"),
    ({"page_url": "javascript:alert(1)"}, "bad_url"),
    ({"page_url": "https://"}, "bad_url"),
    ({"page_url": "https://host:99999/"}, "bad_url"),
    ({"page_url": "https://[::1/"}, "bad_url"),
    ({"page_url": "https://host/a b"}, "bad_url"),
    ({"page_url": "https://host/" + "a" * 2000}, "bad_url"),
    ({"description": "a" * 10_001}, "bad_description"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD_DRAFTS)
async def test_bad_drafts(catalog: Catalog, changes: dict[str, Any], reason: str) -> None:
    assert refusal(await catalog.put_local(draft(**changes))) == reason


@given(name=st.text(), channel=st.text(), page_url=st.text() | st.just("http://") | st.none(), number=st.integers())
def test_any_draft_is_judged(name: str, channel: str, page_url: str | None, number: int) -> None:
    judge_draft(VideoDraft(UUID, name, number, channel=channel, page_url=page_url, published_ms=number))


async def test_a_remote_video_is_kept_and_refreshed(catalog: Catalog, clock: ManualClock) -> None:
    first = await a_remote(catalog)
    assert (first.local, first.views) == (False, 12)
    newer = await a_remote(catalog, updated_ms=first.updated_ms + 1, views=40, name="Sintel, again")
    assert (newer.number, newer.views, newer.name) == (first.number, 40, "Sintel, again")
    older = await a_remote(catalog, updated_ms=first.updated_ms - 1, views=1)
    assert older == newer == catalog.peek_uuid(REMOTE_UUID)
    same_date = await a_remote(catalog, updated_ms=newer.updated_ms, views=41)
    assert same_date.views == 41


async def test_refused_remote_videos(catalog: Catalog) -> None:
    await a_local(catalog)
    await a_remote(catalog)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"uuid": UUID}, "uuid_taken"),
        ({"url": "https://else.example/v/1", "origin": "else.example"}, "uuid_taken"),
        ({"origin": ORIGIN}, "own_video"),
        ({"uuid": UUID, "url": f"https://there.example/videos/watch/{REMOTE_UUID}"}, "uuid_changed"),
        ({"uuid": "Sintel"}, "bad_uuid"),
        ({"views": 2**63}, "bad_video"),
        ({"updated_ms": -1}, "bad_video"),
        ({"name": "nul\0"}, "bad_video"),
        ({"url": "sintel"}, "bad_video"),
        ({"url": "https://there.example/" + "a" * 2000}, "bad_video"),
        ({"url": "https://there.example/" + "\u4e00" * 700}, "bad_video"),
        ({"description": "a" * 10_001}, "bad_video"),
    ]
    for changes, reason in cases:
        assert refusal(await catalog.put_remote(remote(**changes))) == reason, changes
    assert refusal(await catalog.put_local(draft(uuid=REMOTE_UUID))) == "uuid_taken"


async def test_the_longest_url_fits_into_every_index(catalog: Catalog) -> None:
    letters = random.Random(1).choices([chr(number) for number in range(0x4E00, 0x9FFF)], k=650)
    kept = await catalog.put_remote(remote(url="https://there.example/" + "".join(letters)))
    assert isinstance(kept, Video)


async def test_remote_videos_are_bounded(database: Database, clock: ManualClock) -> None:
    catalog = make_catalog(database, clock, bounds=CatalogBounds(remote_videos=1))
    await a_remote(catalog)
    other = remote(uuid=UUID)
    assert refusal(await catalog.put_remote(other)) == "catalog_full"
    await a_remote(catalog, updated_ms=1_800_000_000_000)
    await a_local(catalog)
    assert await catalog.remote_gone(remote().url)
    assert refusal(await catalog.put_remote(other)) == "uuid_taken"


async def test_a_deleted_video_is_gone_with_its_hours_and_its_number(
    catalog: Catalog, database: Database, announcer: RecordingAnnouncer
) -> None:
    video = await a_local(catalog)
    await database.write(lambda tx: add_views(tx, [CountedView(video, 0)]))
    announcer.take()
    assert await catalog.delete(video)
    assert announcer.take() == ["deleted"]
    assert catalog.peek_number(video.number) is None
    assert await catalog.find(UUID) is None
    assert not await catalog.delete(video)
    again = await a_local(catalog)
    assert again.number > video.number
    assert again.views == 0


async def test_only_remote_videos_go_by_word_of_an_origin(catalog: Catalog) -> None:
    mine, theirs = await a_local(catalog), await a_remote(catalog)
    assert not await catalog.remote_gone(mine.url)
    assert not await catalog.remote_gone("https://there.example/nothing")
    assert await catalog.remote_gone(theirs.url)
    assert await catalog.by_url(theirs.url) is None
    assert await catalog.by_url(mine.url) == mine


async def test_names_asked_for_in_vain_are_not_looked_up_again_for_a_while(
    database: Database, clock: ManualClock
) -> None:
    catalog, elsewhere = make_catalog(database, clock), make_catalog(database, clock)
    assert await catalog.find(UUID) is None
    video = await a_local(elsewhere)
    assert await catalog.find(UUID) is None
    clock.advance(MISSING_FOR_MS)
    assert await catalog.find(UUID) == video


async def test_registering_ends_the_vain_search(catalog: Catalog) -> None:
    assert await catalog.find(UUID) is None
    video = await a_local(catalog)
    assert await catalog.find(UUID) == video


async def test_memory_is_bounded(database: Database, clock: ManualClock) -> None:
    catalog = make_catalog(database, clock, bounds=CatalogBounds(cached=2, missing=2))
    uuids = [f"00000000-0000-4000-8000-00000000000{digit}" for digit in range(3)]
    first, second, third = [await a_local(catalog, uuid=uuid) for uuid in uuids]
    assert catalog.peek_uuid(first.uuid) is None
    assert catalog.peek_url(first.url) is None
    assert catalog.peek_uuid(second.uuid) == second
    assert await catalog.find(first.uuid) == first
    assert catalog.peek_number(third.number) is None, "second was used later"
    for number in range(900, 910):
        assert await catalog.find(number) is None


async def test_a_read_under_way_does_not_bring_back_what_was_deleted(catalog: Catalog, database: Database) -> None:
    video = await a_local(catalog)
    catalog.forget(video)
    read, deleted = asyncio.Event(), asyncio.Event()

    class Slow:
        def read(self) -> Any:
            return self

        async def __aenter__(self) -> Any:
            self.context = database.read()
            self.tx = await self.context.__aenter__()
            return self

        async def __aexit__(self, *error: Any) -> None:
            await self.context.__aexit__(*error)

        async def execute(self, statement: Any) -> Any:
            result = await self.tx.execute(statement)
            read.set()
            await deleted.wait()
            return result

    catalog._db = Slow()  # type: ignore[assignment]
    finding = asyncio.ensure_future(catalog.find(UUID))
    await read.wait()
    catalog._db = database
    assert await catalog.delete(video)
    deleted.set()
    assert await finding is None
    assert catalog.peek_uuid(UUID) is None


@pytest.fixture
async def three(catalog: Catalog) -> list[Video]:
    rows = [
        ("Alpha", Privacy.PUBLIC, 30, False),
        ("Beta", Privacy.PUBLIC, 10, True),
        ("Gamma", Privacy.PUBLIC, 20, False),
    ]
    made = []
    for position, (name, privacy, published, live) in enumerate(rows):
        uuid = f"00000000-0000-4000-8000-00000000000{position}"
        made.append(await a_local(catalog, uuid=uuid, name=name, privacy=privacy, published_ms=published, is_live=live))
    await a_local(catalog, uuid="00000000-0000-4000-8000-00000000000a", name="Hidden", privacy=Privacy.PRIVATE)
    await a_local(catalog, uuid="00000000-0000-4000-8000-00000000000b", name="Quiet", privacy=Privacy.UNLISTED)
    await a_remote(catalog, published_ms=5, channel="films")
    return made


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("arguments", "names", "total"),
    [
        ({}, "Alpha Gamma Beta Sintel", 4),
        ({"sort": "publishedAt"}, "Sintel Beta Gamma Alpha", 4),
        ({"sort": "name", "count": 2}, "Alpha Beta", 4),
        ({"sort": "name", "start": 3, "count": 2}, "Sintel", 4),
        ({"sort": "-views", "count": 1}, "Sintel", 4),
        ({"start": 99}, "", 4),
        ({"filters": VideoFilter(local=True)}, "Alpha Gamma Beta", 3),
        ({"filters": VideoFilter(local=False)}, "Sintel", 1),
        ({"filters": VideoFilter(is_live=True)}, "Beta", 1),
        ({"filters": VideoFilter(channels=frozenset({"films"}))}, "Sintel", 1),
        ({"filters": VideoFilter(channels=frozenset())}, "", 0),
        ({"filters": VideoFilter(search="ET")}, "Beta", 1),
        ({"filters": VideoFilter(search="00000000000a")}, "", 0),
        ({"filters": VideoFilter(search="00000000000A"), "include_private": True}, "Hidden", 1),
        ({"filters": VideoFilter(search="%")}, "", 0),
        ({"filters": VideoFilter(search="_")}, "", 0),
        ({"filters": VideoFilter(search="' OR 1=1 --")}, "", 0),
        ({"include_private": True, "sort": "name"}, "Alpha Beta Gamma Hidden Quiet Sintel", 6),
    ],
)
async def test_pages(catalog: Catalog, arguments: dict[str, Any], names: str, total: int) -> None:
    page = await catalog.list_videos(**arguments)
    assert isinstance(page, VideoPage)
    assert " ".join(video.name for video in page.videos) == names
    assert page.total == total


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"start": -1}, "bad_start"),
        ({"start": 2**63}, "bad_start"),
        ({"count": 0}, "bad_count"),
        ({"count": 101}, "bad_count"),
        ({"sort": "likes; DROP"}, "bad_sort"),
        ({"sort": "--name"}, "bad_sort"),
        ({"sort": ""}, "bad_sort"),
    ],
)
async def test_refused_pages(catalog: Catalog, arguments: dict[str, Any], reason: str) -> None:
    assert refusal(await catalog.list_videos(**arguments)) == reason


async def test_stale_remote_videos(catalog: Catalog, clock: ManualClock) -> None:
    await a_local(catalog)
    video = await a_remote(catalog)
    assert await catalog.stale_remote(clock.now_ms()) == []
    clock.advance(1000)
    assert await catalog.stale_remote(clock.now_ms()) == [video]
    await catalog.touch_refreshed(video)
    assert await catalog.stale_remote(clock.now_ms()) == []


async def test_a_reader_cannot_write(catalog: Catalog, database: Database) -> None:
    await a_local(catalog)
    with pytest.raises(Exception, match=r"readonly|read-only|unavailable|database"):
        async with database.read() as tx:
            await tx.execute(videos.delete())
    async with database.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(videos))).scalar_one() == 1


class Gone:
    """A database that does not answer."""

    is_gone = False

    def read(self) -> AsyncExitStack:
        raise StorageUnavailable("gone")


async def test_what_is_old_is_read_anew_or_taken_as_it_is_while_the_database_is_gone(
    catalog: Catalog, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = await a_local(catalog)
    other = make_catalog(database, clock)
    assert await other.by_uuid(UUID) == video
    for _ in range(2):
        other.forget_old()
    assert other.peek_uuid(UUID) is other.peek_number(video.number) is other.peek_url(video.url) is None
    with monkeypatch.context() as patch:
        patch.setattr(other, "_db", Gone())
        assert await other.by_url(video.url) == video
        assert other.peek_url(video.url) is None
        with pytest.raises(StorageUnavailable):
            await other.by_number(video.number + 1)
    changed = await catalog.put_local(VideoDraft(UUID, "Another name", 60))
    assert not isinstance(changed, Refused)
    assert await other.by_uuid(UUID) == changed[0]
    assert other.peek_uuid(UUID) == changed[0]
    other.forget_number(video.number)
    with monkeypatch.context() as patch:
        patch.setattr(other, "_db", Gone())
        with pytest.raises(StorageUnavailable):
            await other.by_uuid(UUID)
