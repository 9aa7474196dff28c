"""What the REST needs of playback."""

from __future__ import annotations

from dataclasses import dataclass

from views.telemetry.interface import TelemetryService
from views.telemetry.names import SessionNames
from views.telemetry.playback_metrics import PlaybackSeries
from views.telemetry.quality_book import QualityBook


@dataclass(frozen=True, slots=True)
class PlaybackDesk:
    """Where samples go, and where their sums are asked for. ``interval_ms`` is how often players report; None:
    telemetry is off."""

    telemetry: TelemetryService
    names: SessionNames
    book: QualityBook
    series: PlaybackSeries
    interval_ms: int | None
