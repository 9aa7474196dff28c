"""From reports of players to notices: who came, plays, went, and which videos are watched."""

from __future__ import annotations

import dataclasses

import pytest
from telemetry_house import Process, video

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from views.notices import VideoFinished, ViewerLeft, ViewersPeak
from views.telemetry.subjects import Room

EVERY_DATABASE = True


@pytest.fixture
def process(clock: ManualClock, database: Database) -> Process:
    process = Process(clock, database)
    process.put(video(1), video(2, is_live=True))
    return process


async def test_from_the_first_report_to_the_last(process: Process, clock: ManualClock) -> None:
    await process.report("anna", 0)
    assert await process.heard() == ["video_started", "viewers_peak"]
    clock.advance(5_000)
    await process.report("anna", 5)
    assert await process.heard() == ["viewer_joined"]
    clock.advance(5_000)
    await process.report("anna", 10)
    await process.report("anna", 10, leave=True)
    assert await process.heard() == ["viewer_left", "video_finished"]


async def test_who_falls_silent_has_left_when_its_time_is_over(process: Process, clock: ManualClock) -> None:
    await process.report("anna", 0)
    clock.advance(5_000)
    await process.report("anna", 5)
    await process.heard()
    clock.advance(119_999)
    assert await process.heard() == []
    clock.advance(1)
    assert await process.heard() == ["viewer_left", "video_finished"]
    assert await process.heard() == []


async def test_who_never_plays_has_aborted(process: Process, clock: ManualClock) -> None:
    await process.report("anna", 0)
    clock.advance(5_000)
    await process.report("anna", 0)
    await process.heard()
    clock.advance(120_000)
    assert await process.heard() == ["viewer_aborted", "video_finished"]


async def test_in_a_live_stream_without_positions_who_reports_again_plays(process: Process, clock: ManualClock) -> None:
    for _ in range(3):
        await process.report("anna", 0, at=video(2, is_live=True))
        clock.advance(5_000)
    assert await process.heard() == ["video_started", "viewer_joined", "viewers_peak"]


async def test_in_a_live_stream_without_positions_leaving_proves_nothing(process: Process, clock: ManualClock) -> None:
    live = video(2, is_live=True)
    await process.report("anna", 0, at=live)
    clock.advance(1_000)
    await process.report("anna", 0, at=live, leave=True)
    assert await process.heard() == ["video_started", "viewer_aborted", "video_finished"]


async def test_silence_within_the_lifetime_is_resumed(process: Process, clock: ManualClock) -> None:
    await process.report("anna", 0)
    clock.advance(5_000)
    await process.report("anna", 5)
    process.said()
    clock.advance(60_000)
    await process.report("anna", 6)
    assert process.said() == (["participant_resumed"], [])


async def test_leaving_and_coming_back_are_two_stays(process: Process, clock: ManualClock) -> None:
    for _ in range(2):
        await process.report("anna", 0)
        clock.advance(5_000)
        await process.report("anna", 5)
        await process.report("anna", 5, leave=True)
        await process.heard()
        clock.advance(1_000)
    await process.report("anna", 6)
    clock.advance(5_000)
    await process.report("anna", 11)
    assert await process.heard() == ["video_started", "viewer_joined", "viewers_peak"]


async def test_a_second_stay_without_playing_has_aborted_whatever_the_first_was(
    process: Process, clock: ManualClock
) -> None:
    await process.report("anna", 0)
    clock.advance(5_000)
    await process.report("anna", 5)
    await process.report("anna", 5, leave=True)
    # As a leave has the stay saved, so that what comes next begins anew.
    process.progress.close(1, b"anna".ljust(16), lambda *_: None)
    assert await process.heard() == ["video_started", "viewer_joined", "viewer_left", "video_finished"]
    clock.advance(60_000)
    await process.report("anna", 5)
    await process.report("anna", 5, leave=True)
    assert await process.heard() == ["video_started", "viewer_aborted", "video_finished"]


async def test_who_left_and_opens_a_page_without_playing_says_nothing_more(
    process: Process, clock: ManualClock
) -> None:
    await process.report("anna", 0)
    clock.advance(5_000)
    await process.report("anna", 5)
    await process.report("anna", 5, leave=True)
    await process.heard()
    process.feed.listening(video(), b"anna".ljust(16))()
    assert process.said() == ([], [])


@pytest.mark.parametrize("says_so", [True, False])
async def test_after_a_restart_the_end_of_a_stay_still_says_since_when(
    process: Process, clock: ManualClock, database: Database, says_so: bool
) -> None:
    joined_ms = clock.now_ms()
    await process.report("anna", 0)
    clock.advance(5_000)
    await process.report("anna", 5)
    await process.heard()
    again = Process(clock, database, process.store, process.progress)
    again.put(*process.shelf.videos.values())
    await again.start()
    clock.advance(60_000)
    await again.report("anna", 6)
    if says_so:
        await again.report("anna", 6, leave=True)
    else:
        clock.advance(120_000)
    await again.look()
    again.run()
    [left] = [notice for notice in again.notifier.notices if isinstance(notice, ViewerLeft)]
    assert left.joined_ms == joined_ms


async def test_who_played_at_another_process_has_not_aborted_here(clock: ManualClock, database: Database) -> None:
    one = Process(clock, database, sole=False)
    two = Process(clock, database, one.store, one.progress, sole=False)
    for process in (one, two):
        process.put(video())
    joined_ms = clock.now_ms()
    await one.report("anna", 0)
    one.run()
    clock.advance(5_000)
    await two.report("anna", 5)
    assert "viewer_joined" in two.said()[1]
    clock.advance(120_000)
    await one.look()
    one.run()
    [left] = [notice for notice in one.notifier.notices if isinstance(notice, ViewerLeft)]
    assert left.joined_ms == joined_ms


async def test_a_leave_of_somebody_who_is_not_here_says_nothing(process: Process) -> None:
    await process.report("anna", 5, leave=True)
    assert await process.heard() == []


async def test_the_start_of_a_video_is_said_before_its_viewers(process: Process) -> None:
    await process.report("anna", 0)
    assert process.said()[0] == ["room_created", "participant_joined"]


async def test_peaks_are_said_when_they_are_higher_than_before(process: Process, clock: ManualClock) -> None:
    await process.report("anna", 0)
    await process.report("bea", 0)
    await process.look()
    await process.report("bea", 0, leave=True)
    await process.look()
    await process.report("cora", 0)
    await process.look()
    await process.report("dora", 0)
    await process.look()
    process.run()
    peaks = [notice.viewers for notice in process.notifier.notices if isinstance(notice, ViewersPeak)]
    assert peaks == [2, 3]


async def test_the_end_says_since_when(process: Process, clock: ManualClock) -> None:
    began_ms = clock.now_ms()
    await process.report("anna", 0)
    await process.look()
    clock.advance(3_000)
    await process.report("anna", 0, leave=True)
    await process.look()
    process.run()
    [finished] = [notice for notice in process.notifier.notices if isinstance(notice, VideoFinished)]
    assert (finished.started_ms, finished.at_ms) == (began_ms, began_ms + 3_000)


async def test_a_video_that_came_and_went_between_two_looks_is_told_whole(process: Process) -> None:
    await process.report("anna", 0)
    await process.report("anna", 0, leave=True)
    assert await process.heard() == ["video_started", "viewer_aborted", "video_finished"]


async def test_a_restart_starts_nothing_twice_and_ends_what_nobody_watches(
    process: Process, clock: ManualClock, database: Database
) -> None:
    await process.report("anna", 0)
    await process.report("bea", 0, at=video(2, is_live=True))
    await process.heard()
    await process.store.leave(2, "", b"bea".ljust(16), clock.now_ms())
    again = Process(clock, database, process.store, process.progress)
    again.put(*process.shelf.videos.values())
    await again.start()
    assert await again.heard() == ["video_finished"]
    clock.advance(5_000)
    await again.report("anna", 5)
    assert await again.heard() == ["viewer_joined"]
    clock.advance(120_000)
    assert await again.heard() == ["viewer_left", "video_finished"]


async def test_a_room_of_a_media_server_stays_open_until_it_says_so(process: Process, clock: ManualClock) -> None:
    live = video(2, is_live=True)
    process.telemetry.room_started(Room(live))
    assert await process.heard() == ["video_started"]
    await process.report("anna", 0, at=live)
    await process.report("anna", 0, at=live, leave=True)
    await process.heard()
    process.telemetry.room_ended(Room(live))
    assert await process.heard() == ["video_finished"]


async def test_a_room_of_a_media_server_outlives_a_restart(
    process: Process, clock: ManualClock, database: Database
) -> None:
    live = video(2, is_live=True)
    process.telemetry.room_started(Room(live))
    await process.look()
    again = Process(clock, database, process.store, process.progress)
    again.put(live)
    await again.start()
    assert await again.heard() == []
    again.telemetry.room_ended(Room(live))
    assert await again.heard() == ["video_finished"]


async def test_with_a_video_its_viewers_are_gone(process: Process, clock: ManualClock) -> None:
    await process.report("anna", 0)
    ended = process.feed.listening(video(), b"anna".ljust(16))
    await process.report("bea", 0)
    clock.advance(5_000)
    await process.report("anna", 5)
    await process.heard()
    await process.viewers.forget_video(1)
    process.feed.forget_video(video())
    process.run()
    assert await process.heard() == ["viewer_left", "viewer_aborted", "video_finished"]
    clock.advance(120_000)
    ended()
    assert await process.heard() == []


async def test_who_departed_while_a_store_was_away_is_said_later(
    process: Process, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_number: int) -> None:
        raise StorageUnavailable("gone")

    await process.report("anna", 0)
    await process.heard()
    clock.advance(120_000)
    await process.viewers.sweep()
    with monkeypatch.context() as patch:
        patch.setattr(process.shelf, "by_number", gone)
        with pytest.raises(StorageUnavailable):
            await process.feed.look()
    assert await process.heard() == ["viewer_aborted", "video_finished"]


async def test_a_page_that_still_listens_has_not_left(process: Process, clock: ManualClock) -> None:
    ended = process.feed.listening(video(), b"anna".ljust(16))
    assert await process.heard() == []
    await process.report("anna", 0)
    clock.advance(5_000)
    await process.report("anna", 5)
    await process.heard()
    await process.report("bea", 0)
    clock.advance(100_000)
    await process.report("bea", 100)
    await process.heard()
    clock.advance(100_000)
    assert await process.heard() == []
    ended()
    ended()
    assert await process.heard() == ["viewer_left"]


async def test_a_video_is_over_after_whoever_an_open_page_holds_has_left(process: Process, clock: ManualClock) -> None:
    ended = process.feed.listening(video(), b"anna".ljust(16))
    for round_s in (0, 100):
        await process.report("anna", round_s)
        clock.advance(5_000)
        await process.report("anna", round_s + 5)
        assert await process.heard() == ["video_started", "viewer_joined", "viewers_peak"]
        await process.report("anna", round_s + 5, leave=True)
        assert await process.heard() == ["viewer_left", "video_finished"]
        clock.advance(300_000)
    # Its page holds it anew, as long as others watch.
    await process.report("anna", 300)
    await process.report("bea", 0)
    clock.advance(5_000)
    await process.report("anna", 305)
    await process.report("bea", 5)
    await process.heard()
    await process.report("anna", 305, leave=True)
    assert await process.heard() == []
    ended()
    assert await process.heard() == ["viewer_left"]
    await process.report("bea", 5, leave=True)
    assert await process.heard() == ["viewer_left", "video_finished"]
    assert not process.feed._pages


async def test_a_page_that_only_listens_is_no_viewer(process: Process) -> None:
    ended = process.feed.listening(video(), b"anna".ljust(16))
    assert await process.heard() == []
    ended()
    assert process.said() == ([], [])


async def test_a_host_applications_viewer_joins_and_leaves(process: Process, clock: ManualClock) -> None:
    seen = await process.viewers.watching(video(), b"an application's", expires_ms=clock.now_ms() + 1_000)
    process.feed.watching(video(), seen.viewer, clock.now_ms(), is_new=seen.is_new)
    assert await process.heard() == ["video_started", "viewer_joined", "viewers_peak"]
    clock.advance(1_000)
    assert await process.heard() == ["viewer_left", "video_finished"]


async def test_of_several_processes_each_thing_is_said_by_one(clock: ManualClock, database: Database) -> None:
    one = Process(clock, database, sole=False)
    two = Process(clock, database, one.store, one.progress, sole=False)
    three = Process(clock, database, one.store, one.progress, sole=False)
    both = (one, two, three)
    for process in both:
        process.put(video())
    heard: list[str] = []

    async def pass_second() -> None:
        clock.advance(1_000)
        for process in both:
            heard.extend(await process.heard())

    await one.report("anna", 0)
    await two.report("bea", 0)
    await pass_second()
    await two.report("anna", 1)
    await three.report("bea", 1)
    await pass_second()
    assert sorted(heard) == ["video_started", "viewer_joined", "viewer_joined", "viewers_peak"]
    heard.clear()
    await three.report("anna", 2, leave=True)
    await pass_second()
    assert heard == ["viewer_left"]
    heard.clear()
    clock.advance(120_000)
    await pass_second()
    assert sorted(heard) == ["video_finished", "viewer_left"]


async def test_of_several_processes_one_may_hear_of_a_room_s_end_that_another_heard_begin(
    clock: ManualClock, database: Database
) -> None:
    one = Process(clock, database, sole=False)
    two = Process(clock, database, one.store, one.progress, sole=False)
    live = video(2, is_live=True)
    for process in (one, two):
        process.put(live)
        await process.start()
    one.telemetry.room_started(Room(live))
    one.telemetry.room_started(Room(live))
    assert await one.heard() + await two.heard() == ["video_started"]
    await one.report("anna", 0, at=live)
    await one.report("anna", 0, at=live, leave=True)
    assert "video_finished" not in await one.heard()
    two.telemetry.room_ended(Room(live))
    assert await two.heard() == ["video_finished"]
    one.rooms.touched(live)
    assert await one.heard() == []


async def test_a_video_that_is_gone_closes_in_silence(process: Process, clock: ManualClock, database: Database) -> None:
    await process.report("anna", 0)
    await process.heard()
    again = Process(clock, database)
    await again.start()
    assert await again.heard() == []
    assert await again.rooms._rows.load() == []


def test_a_room_is_named_after_its_video() -> None:
    assert Room(dataclasses.replace(video(), name="Other")).sid == video().uuid
