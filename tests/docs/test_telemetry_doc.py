"""The mapping of LiveKit's telemetry is complete."""

from __future__ import annotations

import inspect

from docs.documents import DOCS, rows, ticked

from views.notices import NOTICES
from views.telemetry.events import EventKind
from views.telemetry.interface import TelemetryService

TABLE = list(rows(DOCS / "telemetry.md", "method", "LiveKit", "fed by", "event", "notice"))


def test_every_method_is_in_the_table() -> None:
    methods = [name for name, _ in inspect.getmembers(TelemetryService, inspect.isfunction) if name[0] != "_"]
    assert sorted(ticked(cells[0])[0] for cells in TABLE) == sorted(methods)
    for method, livekit, fed_by, _event, _notice in TABLE:
        said = livekit.replace("RTP", "Rtp").replace("API", "Api")
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in said)
        assert f"`{words[1:]}`" == method
        assert fed_by


def test_every_event_and_notice_is_in_the_table() -> None:
    assert {word for cells in TABLE for word in ticked(cells[3])} == {kind.value for kind in EventKind}
    told = {word for cells in TABLE for word in ticked(cells[4])}
    elsewhere = {"viewers_peak", "view_counted", "total_received", "peer_down", "peer_up"}
    assert told | elsewhere == {notice.event for notice in NOTICES}
