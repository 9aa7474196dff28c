"""What changed since the last write, and its encoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from views.counters import codec
from views.counters.base import MarkedTotal, Told, Total
from views.counters.codec import Kind, SourceTable

_BATCH_RECORDS = 2_000


@dataclass(slots=True)
class Changes:
    """Changes between two forgettings, the newest per viewer."""

    touched: dict[tuple[int, str], dict[bytes, int]] = field(default_factory=dict)
    totals: dict[int, Total] = field(default_factory=dict)
    marks: dict[int, MarkedTotal] = field(default_factory=dict)
    told: list[tuple[int, Told]] = field(default_factory=list)
    progress: dict[tuple[int, bytes], tuple[bytes, int]] = field(default_factory=dict)
    claims: dict[int, dict[bytes, int]] = field(default_factory=dict)
    forgotten_source: str | None = None
    forgotten_video: int | None = None
    forgotten_claims: int | None = None
    forgotten_progress: int | None = None
    """What is forgotten after all of these."""

    def live_batch(self, base_ms: int, sources: SourceTable) -> bytes:
        out = [codec.total_record(video, total) for video, total in self.totals.items()]
        for (video, source), lives in self.touched.items():
            number = sources.number(source, out)
            out.append(codec.lives_records(Kind.TOUCHED, base_ms, video, number, lives))
        out += [codec.told_record(video, told) for video, told in self.told]
        if self.forgotten_source is not None:
            number = sources.number(self.forgotten_source, out)
            out.append(codec.source_forgotten_record(number))
        if self.forgotten_video is not None:
            out.append(codec.video_forgotten_record(Kind.VIDEO_FORGOTTEN, self.forgotten_video))
        return b"".join(out)

    def claims_batch(self, base_ms: int) -> bytes:
        out = [codec.lives_records(Kind.CLAIMED, base_ms, video, 0, claims) for video, claims in self.claims.items()]
        out += [codec.mark_record(video, marked) for video, marked in self.marks.items()]
        if self.forgotten_claims is not None:
            out.append(codec.video_forgotten_record(Kind.CLAIMS_FORGOTTEN, self.forgotten_claims))
        return b"".join(out)

    def progress_batches(self) -> Iterator[bytes]:
        """Not one: a merge reads a batch at a time, and what is to be written meanwhile waits for that."""
        entries = ((video, viewer, blob, end) for (video, viewer), (blob, end) in self.progress.items())
        while records := codec.progress_records(islice(entries, _BATCH_RECORDS)):
            yield records
        if self.forgotten_progress is not None:
            yield codec.video_forgotten_record(Kind.PROGRESS_FORGOTTEN, self.forgotten_progress)
