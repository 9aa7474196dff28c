"""How far a peer's clock is from ours, learnt from what arrives anyway. Pure."""

from __future__ import annotations

WINDOW_MINUTES = 10
DEAD_BAND_MS = 2_000
"""Differences below this are taken for transit and for the whole seconds of HTTP dates: no offset."""


class _Minimum:
    """The smallest sample of the last minutes, one slot per minute: constant memory however much is seen."""

    __slots__ = ("_best_ms", "_minute", "_slots")

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._best_ms: int | None = None
        self._minute = -1

    def add(self, sample_ms: int, at_ms: int) -> None:
        minute = at_ms // 60_000
        slots = self._slots
        known = slots.get(minute)
        if known is None:
            # Also drops what lies in the future, after our own clock was set back.
            self._slots = slots = {then: low for then, low in slots.items() if 0 < minute - then < WINDOW_MINUTES}
            slots[minute] = sample_ms
            self._minute = -1
        elif sample_ms < known:
            slots[minute] = sample_ms
            self._minute = -1

    def at(self, now_ms: int) -> int | None:
        minute = now_ms // 60_000
        if minute != self._minute:
            recent = [low for then, low in self._slots.items() if 0 <= minute - then < WINDOW_MINUTES]
            self._best_ms = min(recent, default=None)
            self._minute = minute
        return self._best_ms


class ClockOffset:
    """What to **add** to a peer's instants to get ours.

    Every sample is (our clock at arrival) − (their clock at sending): the true offset plus a delay, so the smallest of
    ten minutes is nearest. Dates of answers are preferred to dates of signatures, for nobody queues an answer. Samples
    beyond ``max_skew_ms`` are no clocks and are ignored. Until anything is seen, ``known_ms`` holds.
    """

    __slots__ = ("_answers", "_estimate_ms", "_max_skew_ms", "_signed")

    def __init__(self, known_ms: int = 0, *, max_skew_ms: int = 1_800_000) -> None:
        self._answers = _Minimum()
        self._signed = _Minimum()
        self._estimate_ms = known_ms
        self._max_skew_ms = max_skew_ms

    @property
    def offset_ms(self) -> int:
        """The offset as of the last sample; 0 inside the dead band."""
        return 0 if -DEAD_BAND_MS < self._estimate_ms < DEAD_BAND_MS else self._estimate_ms

    def saw_date(self, date_ms: int, received_ms: int) -> None:
        """The ``Date`` of an answer that came straight from the peer (never a cached one)."""
        self._saw(self._answers, date_ms, received_ms)

    def saw_signed(self, signed_ms: int, received_ms: int) -> None:
        """The signed date of a request whose signature was verified."""
        self._saw(self._signed, signed_ms, received_ms)

    def _saw(self, samples: _Minimum, theirs_ms: int, received_ms: int) -> None:
        difference_ms = received_ms - theirs_ms
        if abs(difference_ms) > self._max_skew_ms:
            return
        samples.add(difference_ms, received_ms)
        best = self._answers.at(received_ms)
        if best is None:
            best = self._signed.at(received_ms)
        if best is not None:
            self._estimate_ms = best
