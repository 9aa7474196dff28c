"""What is remembered of totals that are over, so that a captured one cannot take their place."""

from __future__ import annotations

from collections import OrderedDict

from views.counters.base import MAX_TOTALS_OF_ONE_INSTANT, MarkedTotal, TotalMark

MAX_MARKS = 50_000
"""Videos; then what was marked longest ago is forgotten first."""


class TotalMarks:
    """Per video the order of the newest total, and the fingerprints of those of that order, in order of arrival."""

    def __init__(self, limit: int = MAX_MARKS) -> None:
        self._limit = limit
        self._marks: OrderedDict[int, MarkedTotal] = OrderedDict()

    def __len__(self) -> int:
        return len(self._marks)

    def admits(self, video: int, order_ms: int, mark: TotalMark | None, now_ms: int) -> bool:
        """Whether a total of this order is none that came before, nor earlier than one that came."""
        marked = self._marks.get(video)
        if marked is None or marked.until_ms <= now_ms or order_ms > marked.order_ms:
            return True
        if order_ms < marked.order_ms:
            return False
        if mark is None or mark.fingerprint == marked.seen[-1]:
            return True
        return mark.fingerprint not in marked.seen and len(marked.seen) < MAX_TOTALS_OF_ONE_INSTANT

    def note(self, video: int, order_ms: int, mark: TotalMark | None, now_ms: int) -> MarkedTotal | None:
        """A total of this order was taken; what is remembered of it."""
        if mark is None or mark.until_ms <= now_ms:
            return None
        marked = self._marks.get(video)
        until_ms = mark.until_ms
        seen: tuple[str, ...] = (mark.fingerprint,)
        if marked is not None and marked.until_ms > now_ms:
            until_ms = max(until_ms, marked.until_ms)
            if marked.order_ms == order_ms:
                seen = marked.seen if mark.fingerprint == marked.seen[-1] else (*marked.seen, mark.fingerprint)
        marked = MarkedTotal(order_ms, until_ms, seen)
        self.keep(video, marked)
        return marked

    def keep(self, video: int, marked: MarkedTotal) -> None:
        """In place of what was remembered of this video."""
        self._marks[video] = marked
        self._marks.move_to_end(video)
        while len(self._marks) > self._limit:
            self._marks.popitem(last=False)

    def sweep(self, now_ms: int) -> None:
        """Forget the oldest, as far as they are over."""
        while self._marks:
            video, marked = next(iter(self._marks.items()))
            if marked.until_ms > now_ms:
                return
            del self._marks[video]

    def drop(self, video: int) -> None:
        self._marks.pop(video, None)
