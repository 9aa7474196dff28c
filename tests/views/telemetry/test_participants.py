"""Participants, their guards and their statistics, as ``Telemetry`` keeps the books."""

from __future__ import annotations

import pytest
from telemetry_house import Desk

from foundation.clock import ManualClock
from views.notices import ViewerLeft
from views.telemetry.guard import ReferenceGuard
from views.telemetry.samples import Direction, Sample
from views.telemetry.subjects import Client, EgressInfo, Room, Track
from views.telemetry.worker import IDLE_AFTER_MS, MAX_SAMPLES, MAX_TRACKS, REAP_AFTER_MS


@pytest.fixture
def desk(clock: ManualClock) -> Desk:
    return Desk(clock)


def sample(clock: ManualClock, track: str = "720p", direction: Direction = Direction.DOWN, **said: int) -> Sample:
    return Sample(track, direction, clock.now_ms() - 10_000, clock.now_ms(), **said)


def test_joining_is_recorded_and_playing_is_told(desk: Desk) -> None:
    anna = desk.who("anna")
    desk.telemetry.participant_joined(desk.room, anna, client=Client("Firefox"))
    assert desk.said() == (["participant_joined"], [])
    desk.telemetry.participant_active(desk.room, anna)
    assert desk.said() == (["participant_active"], ["viewer_joined"])
    desk.telemetry.participant_left(desk.room, anna)
    assert desk.said() == (["participant_left"], ["viewer_left"])


def test_who_never_plays_has_aborted(desk: Desk) -> None:
    anna = desk.who("anna")
    desk.telemetry.participant_joined(desk.room, anna)
    desk.telemetry.participant_left(desk.room, anna)
    assert desk.said() == (["participant_joined", "participant_connection_aborted"], ["viewer_aborted"])


def test_a_migration_is_no_second_join(desk: Desk) -> None:
    desk.telemetry.participant_active(desk.room, desk.who("anna"), is_migration=True)
    desk.run()
    assert [event.reason for event in desk.analytics.events] == ["migration"]
    assert desk.notifier.take() == []
    desk.telemetry.participant_left(desk.room, desk.who("anna"))
    assert desk.said()[1] == ["viewer_left"]


def test_books_can_be_kept_in_silence(desk: Desk) -> None:
    anna, guard = desk.who("anna"), ReferenceGuard()
    desk.telemetry.participant_joined(desk.room, anna, should_send_event=False, guard=guard)
    desk.telemetry.participant_left(desk.room, anna, should_send_event=False, guard=guard)
    assert desk.said() == ([], [])


def test_leaving_one_source_does_not_end_the_viewer(desk: Desk) -> None:
    anna, heartbeat, stream = desk.who("anna"), ReferenceGuard(), ReferenceGuard()
    desk.telemetry.participant_joined(desk.room, anna, guard=heartbeat)
    desk.telemetry.participant_active(desk.room, anna, guard=heartbeat)
    desk.telemetry.participant_active(desk.room, anna, guard=stream)
    desk.said()
    desk.telemetry.participant_left(desk.room, anna, guard=heartbeat)
    desk.telemetry.participant_left(desk.room, anna, guard=heartbeat)
    desk.telemetry.participant_left(desk.room, anna)
    assert desk.said() == ([], [])
    desk.telemetry.participant_left(desk.room, anna, guard=stream)
    assert desk.said()[1] == ["viewer_left"]
    desk.telemetry.participant_left(desk.room, anna, guard=stream)
    assert desk.said() == ([], [])


def test_a_second_source_is_no_second_viewer(desk: Desk) -> None:
    anna = desk.who("anna")
    for _ in range(2):
        desk.telemetry.participant_active(desk.room, anna, guard=ReferenceGuard())
    assert desk.said() == (["participant_active"], ["viewer_joined"])


def test_what_another_process_began_this_one_ends(desk: Desk, clock: ManualClock) -> None:
    guard = ReferenceGuard()
    for _ in range(2):
        desk.telemetry.participant_left(desk.room, desk.who("anna", active=True), guard=guard)
    desk.telemetry.participant_left(desk.room, desk.who("bea"))
    assert desk.said()[1] == ["viewer_left", "viewer_aborted"]


def test_coming_back_within_the_reaping_time_is_a_new_stay(desk: Desk, clock: ManualClock) -> None:
    anna = desk.who("anna")
    for _ in range(2):
        guard = ReferenceGuard()
        desk.telemetry.participant_joined(desk.room, anna, guard=guard)
        desk.telemetry.participant_active(desk.room, anna, guard=guard)
        desk.telemetry.participant_left(desk.room, anna, guard=guard)
    assert desk.said()[1] == ["viewer_joined", "viewer_left"] * 2


def test_the_notice_of_leaving_says_since_when(desk: Desk, clock: ManualClock) -> None:
    joined_ms = clock.now_ms()
    desk.telemetry.participant_joined(desk.room, desk.who("anna"))
    clock.advance(2_000)
    desk.telemetry.participant_active(desk.room, desk.who("anna"))
    clock.advance(5_000)
    desk.telemetry.participant_left(desk.room, desk.who("anna"))
    desk.run()
    left = desk.notifier.notices[-1]
    assert isinstance(left, ViewerLeft)
    assert (left.joined_ms, left.at_ms) == (joined_ms, joined_ms + 7_000)
    assert left.session == desk.who("anna").sid


def test_beyond_the_bound_viewers_are_told_of_all_the_same(clock: ManualClock) -> None:
    desk = Desk(clock, max_workers=1)
    for name in ("anna", "bea"):
        desk.telemetry.participant_joined(desk.room, desk.who(name), guard=ReferenceGuard())
        desk.telemetry.participant_active(desk.room, desk.who(name))
    assert desk.said()[1] == ["viewer_joined", "viewer_joined"]
    desk.telemetry.participant_left(desk.room, desk.who("bea", active=True))
    assert desk.said()[1] == ["viewer_left"]
    assert b'fediviews_telemetry_refused_total{what="participant"} 2.0' in desk.metrics.render()


def test_a_flush_sends_one_batch_per_participant_and_nothing_of_nobody(desk: Desk, clock: ManualClock) -> None:
    anna, bea = desk.who("anna"), desk.who("bea")
    for who in (anna, bea):
        desk.telemetry.participant_joined(desk.room, who)
    desk.telemetry.track_stats(desk.room, anna, sample(clock, bytes=5))
    desk.telemetry.track_stats(desk.room, anna, sample(clock, bytes=7))
    desk.telemetry.track_stats(desk.room, anna, sample(clock, direction=Direction.UP, bytes=1))
    desk.telemetry.flush_stats()
    desk.run()
    [batch] = desk.analytics.batches
    assert sorted((record.stat.direction.value, record.stat.bytes) for record in batch) == [("down", 12), ("up", 1)]
    assert {record.participant for record in batch} == {anna.sid}
    assert len({record.id for record in batch}) == 2
    assert all(record.id.startswith("AS_") for record in batch)
    desk.telemetry.flush_stats()
    desk.run()
    assert len(desk.analytics.batches) == 1


def test_late_samples_are_taken_for_three_minutes(desk: Desk, clock: ManualClock) -> None:
    anna = desk.who("anna")
    desk.telemetry.participant_joined(desk.room, anna)
    desk.telemetry.participant_left(desk.room, anna)
    desk.run()
    clock.advance(REAP_AFTER_MS)
    desk.telemetry.track_stats(desk.room, anna, sample(clock, bytes=9))
    desk.telemetry.flush_stats()
    desk.run()
    assert [record.stat.bytes for batch in desk.analytics.batches for record in batch] == [9]
    assert b"fediviews_telemetry_workers 1.0" in desk.metrics.render()
    clock.advance(REAP_AFTER_MS + 1)
    desk.telemetry.flush_stats()
    desk.run()
    assert b"fediviews_telemetry_workers 0.0" in desk.metrics.render()


def test_samples_of_somebody_unknown_are_kept_and_make_no_viewer(desk: Desk, clock: ManualClock) -> None:
    desk.telemetry.track_stats(desk.room, desk.who("anna"), sample(clock, bytes=9))
    desk.telemetry.flush_stats()
    assert desk.said() == ([], [])
    assert len(desk.analytics.batches) == 1
    assert b"fediviews_telemetry_participants 0.0" in desk.metrics.render()


def test_what_one_participant_may_send_before_a_flush_is_bounded(desk: Desk, clock: ManualClock) -> None:
    anna = desk.who("anna")
    for _ in range(MAX_SAMPLES + 1):
        desk.telemetry.track_stats(desk.room, anna, sample(clock, "one", bytes=1))
    for number in range(MAX_TRACKS):
        desk.telemetry.track_stats(desk.room, anna, sample(clock, f"track {number}"))
    desk.telemetry.flush_stats()
    desk.run()
    [batch] = desk.analytics.batches
    assert len(batch) == MAX_TRACKS
    assert max(record.stat.samples for record in batch) == MAX_SAMPLES
    assert b'fediviews_telemetry_refused_total{what="sample"} 2.0' in desk.metrics.render()


def test_who_went_on_elsewhere_is_forgotten_in_silence(desk: Desk, clock: ManualClock) -> None:
    desk.telemetry.participant_active(desk.room, desk.who("anna"), guard=ReferenceGuard())
    desk.said()
    clock.advance(IDLE_AFTER_MS + 1)
    desk.telemetry.forget_idle()
    assert desk.said() == ([], [])
    assert b"fediviews_telemetry_workers 0.0" in desk.metrics.render()


def test_the_state_of_the_house_is_numbered(desk: Desk, clock: ManualClock) -> None:
    desk.telemetry.participant_joined(desk.room, desk.who("anna"))
    desk.telemetry.participant_active(desk.room, desk.who("bea"))
    for _ in range(2):
        desk.telemetry.flush_stats()
        desk.run()
    first, second = desk.analytics.states
    assert (first.sequence, second.sequence) == (1, 2)
    [state] = second.rooms
    assert (state.room, state.participants, state.active) == (desk.room.sid, 2, 1)


def test_events_of_tracks_name_their_minimum(desk: Desk) -> None:
    anna, track = desk.who("anna"), Track("720p", height=720)
    desk.telemetry.track_subscribed(desk.room, anna, track, publisher=desk.who("live"))
    desk.telemetry.track_unsubscribed(desk.room, anna, track, should_send_event=False)
    desk.telemetry.track_subscribe_failed(desk.room, anna, track, error="no such rendition", user_error=True)
    desk.run()
    first, second = desk.analytics.events
    assert (first.room, first.participant, first.track) == (desk.room.sid, anna.sid, track)
    assert first.publisher == desk.who("live").sid
    assert first.id.startswith("AE_")
    assert first.id != second.id
    assert (second.reason, second.user_error) == ("no such rendition", True)
    assert (
        b'fediviews_telemetry_events_total{fault="viewer",kind="track_subscribe_failed"} 1.0' in desk.metrics.render()
    )


def test_an_egress_event_by_name(desk: Desk) -> None:
    for word in ("egress_started", "egress_ended", "egress_paused"):
        desk.telemetry.notify_egress_event(word, EgressInfo("EG_1"))
    assert desk.said()[0] == ["egress_started", "egress_ended", "egress_updated"]


def test_without_a_keeper_of_rooms_their_beginning_and_end_are_told_as_said(desk: Desk, clock: ManualClock) -> None:
    desk.telemetry.room_started(Room(desk.room.video, clock.now_ms() - 5_000))
    desk.telemetry.room_ended(desk.room)
    desk.run()
    assert desk.analytics.events[0].at_ms == clock.now_ms() - 5_000
    assert desk.said() == (["room_created", "room_ended"], ["video_started", "video_finished"])


def test_names_lead_nowhere_back_and_change_with_the_day(desk: Desk, clock: ManualClock) -> None:
    viewer = b"a viewer's key!!"
    today = desk.names.participant(1, viewer, clock.now_ms())
    tomorrow = desk.names.participant(1, viewer, clock.now_ms() + 86_400_000)
    elsewhere = desk.names.participant(2, viewer, clock.now_ms())
    assert today.sid == tomorrow.sid != elsewhere.sid
    assert today.identity == elsewhere.identity != tomorrow.identity
    assert viewer.hex() not in today.sid + today.identity
