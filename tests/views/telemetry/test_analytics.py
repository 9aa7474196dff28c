"""Where records go: the database, the log, OpenTelemetry; and the sums of playback."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import ConfigError, StorageUnavailable
from foundation.metrics import Metrics
from views.telemetry.analytics import DatabaseSink, Everywhere, LogSink
from views.telemetry.analytics_otel import OpenTelemetrySink
from views.telemetry.events import Event, EventKind, StatRecord
from views.telemetry.null import NullTelemetry
from views.telemetry.quality_book import HOUR_MS, QualityBook
from views.telemetry.samples import Direction, Stat
from views.telemetry.subjects import NodeRooms, ReportInfo, RoomState, Track
from views.telemetry.tables import telemetry_records

EVERY_DATABASE = True

ROOM = "00000000-0000-4000-8000-000000000001"


def event(number: int = 1, at_ms: int = 1_000) -> Event:
    said = ReportInfo("playback_errors", ROOM, "VS_ANNA", {"errors": 1})
    return Event(f"AE_{number}", EventKind.REPORT, at_ms, "ND_1", ROOM, "VS_ANNA", "VI_ANNA", Track("720p"), info=said)


def stat(
    participant: str = "VS_ANNA", height: int = 720, *, at_ms: int, number: int = 1, up: bool = False, **said: Any
) -> StatRecord:
    direction = Direction.UP if up else Direction.DOWN
    inside = Stat(f"{height}p", direction, at_ms - 10_000, at_ms, 1, 10_000, layer=height, **said)
    return StatRecord("AS_1", at_ms, "ND_1", ROOM, number, participant, inside)


def states() -> NodeRooms:
    return NodeRooms("ND_1", 7, 1_000, (RoomState(ROOM, 3, 2),))


async def rows(database: Database) -> list[dict[str, Any]]:
    async with database.read() as tx:
        return [dict(row._mapping) for row in await tx.execute(select(telemetry_records).order_by("id"))]


# The database


async def test_records_become_rows_in_their_order(database: Database, clock: ManualClock) -> None:
    sink = DatabaseSink(database, clock, Metrics(), 10_000)
    sink.send_event(event())
    sink.send_stats([stat(at_ms=2_000)])
    sink.send_node_room_states(states())
    assert await sink.write() == 3
    assert await sink.write() == 0
    kept = await rows(database)
    assert [(row["kind"], row["record"]) for row in kept] == [
        ("report", "AE_1"),
        ("stat", "AS_1"),
        ("node_rooms", "ND_1"),
    ]
    assert kept[0]["room"] == ROOM
    assert json.loads(kept[0]["body"])["info"]["numbers"] == {"errors": 1}
    assert json.loads(kept[2]["body"])["sequence"] == 7


async def test_what_waits_for_the_database_is_bounded(database: Database, clock: ManualClock) -> None:
    metrics = Metrics()
    sink = DatabaseSink(database, clock, metrics, 3)
    for number in range(5):
        sink.send_event(event(number))
    assert await sink.write() == 3
    assert [row["record"] for row in await rows(database)] == ["AE_2", "AE_3", "AE_4"]
    assert b"fediviews_telemetry_records_lost_total 2.0" in metrics.render()


async def test_old_records_go(database: Database, clock: ManualClock) -> None:
    sink = DatabaseSink(database, clock, Metrics(), 10_000)
    for number in range(1_500):
        sink.send_event(event(number, clock.now_ms()))
    clock.advance(5_000)
    sink.send_event(event(1_500, clock.now_ms()))
    await sink.write()
    assert await sink.purge(None) == 0
    assert await sink.purge(4_000) == 1_500
    assert [row["record"] for row in await rows(database)] == ["AE_1500"]


async def test_records_outlive_a_database_that_is_away(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, book = DatabaseSink(database, clock, Metrics(), 10_000), QualityBook(database, clock, Metrics())

    async def gone(_work: object) -> None:
        raise StorageUnavailable("gone")

    sink.send_event(event())
    book.send_stats([stat(at_ms=clock.now_ms())])
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", gone)
        for place in (sink, book):
            with pytest.raises(StorageUnavailable):
                await place.write()
    assert await sink.write() == 1
    assert await book.write() == 1


# The log


def test_the_log_names_no_viewer(caplog: pytest.LogCaptureFixture) -> None:
    sink = LogSink()
    with caplog.at_level(logging.INFO, logger="fediviews.telemetry.events"):
        sink.send_event(event())
        sink.send_stats([stat(at_ms=2_000)])
        sink.send_node_room_states(states())
    assert len(caplog.messages) == 3
    assert "ANNA" not in caplog.text
    assert json.loads(caplog.messages[0])["kind"] == "report"
    assert json.loads(caplog.messages[2])["rooms"][0]["participants"] == 3


# Several at once


def test_a_place_that_fails_keeps_nothing_from_the_others() -> None:
    class Broken(NullTelemetry):
        def send_event(self, event: Event) -> None:
            raise RuntimeError("broken")

    class Hearing(NullTelemetry):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def send_event(self, event: Event) -> None:
            self.heard.append(event.id)

    hearing = Hearing()
    with pytest.raises(RuntimeError):
        Everywhere([Broken(), hearing]).send_event(event())
    assert hearing.heard == ["AE_1"]


# OpenTelemetry


def test_records_become_spans() -> None:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    sink = OpenTelemetrySink(exporter, service="here.example", node="ND_1")
    sink.send_event(event())
    sink.send_stats([stat(at_ms=20_000, stalls=2)])
    sink.send_node_room_states(states())
    sink.close()
    spans: Sequence[ReadableSpan] = exporter.get_finished_spans()
    first, second, third = spans
    assert [span.name for span in spans] == ["report", "track_stats", "node_rooms"]
    assert first.start_time == first.end_time == 1_000_000_000
    assert first.attributes is not None
    assert first.attributes["fediviews.info.numbers.errors"] == 1
    assert first.attributes["fediviews.track.sid"] == "720p"
    assert second.attributes is not None
    assert (second.start_time, second.end_time) == (10_000_000_000, 20_000_000_000)
    assert second.attributes["fediviews.stalls"] == 2
    assert third.attributes is not None
    assert third.attributes["fediviews.participants"] == 3
    assert first.resource.attributes["service.namespace"] == "here.example"


def test_wanted_and_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"telemetry\.events\.opentelemetry: OpenTelemetry is not installed"):
        OpenTelemetrySink.over_http("http://127.0.0.1:4318/v1/traces", service="here.example", node="ND_1")


# Sums of playback


async def test_sums_of_two_processes_are_one_answer(database: Database, clock: ManualClock) -> None:
    one, two = (QualityBook(database, clock, Metrics()) for _ in range(2))
    now_ms = clock.now_ms()
    one.send_stats([stat("VS_ANNA", at_ms=now_ms), stat("VS_BEA", 1080, at_ms=now_ms, stalls=1, stall_ms=5_000)])
    two.send_stats([stat("VS_ANNA", at_ms=now_ms, latency_ms=4_000), stat("VS_ANNA", at_ms=now_ms, up=True)])
    await one.write()
    quality = await two.quality(1)
    assert (quality.viewers, quality.stalled) == (2, 1)
    assert quality.latency_ms is not None
    assert quality.latency_ms.maximum == 4_000
    assert [(each.height, each.viewers) for each in quality.heights] == [(720, 1), (1080, 1)]
    assert quality.health == "50 % of viewers stall, mostly at 1080p."
    assert (await one.quality(2)).viewers == 0


async def test_bounds_choose_the_hours_that_overlap(database: Database, clock: ManualClock) -> None:
    book = QualityBook(database, clock, Metrics())
    hour_ms = clock.now_ms() - clock.now_ms() % HOUR_MS
    for hours in range(4):
        book.send_stats([stat(f"VS_{hours}", at_ms=hour_ms + hours * HOUR_MS + 60_000)])
    assert (await book.quality(1)).viewers == 4
    assert (await book.quality(1, hour_ms + HOUR_MS, hour_ms + 2 * HOUR_MS)).viewers == 2
    assert (await book.quality(1, hour_ms + HOUR_MS + 1, None)).viewers == 3
    assert (await book.quality(1, None, hour_ms)).viewers == 1
    clock.advance(4 * HOUR_MS)
    assert await book.purge(2 * HOUR_MS) == 2
    await book.forget_video(1)
    assert (await book.quality(1)).viewers == 0
