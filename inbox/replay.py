"""What was dropped is judged once more, after a rule has changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from federation.vocabulary import Activity
from foundation.errors import Refused
from inbox.quarantine import Quarantine
from inbox.sender import Sender

Judge = Callable[[Activity, Sender, int], Awaitable[Refused | None]]
"""``Pipeline.judge_again``."""

AT_ONCE = 1_000
"""Messages of one call; whoever has more calls again."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """``left`` can still be replayed by another call."""

    applied: int
    dropped: int
    left: int


class QuarantineReplay:
    """``may_speak`` and every rule of the inbox hold as they are now; signatures are not asked for again.

    What was signed then counts at the instant of the replay: a viewer whose life is over stays ``expired``, a view that
    was counted meanwhile is a ``duplicate``.
    """

    def __init__(self, quarantine: Quarantine, judge: Judge, may_speak: Callable[[str], Refused | None]) -> None:
        self._quarantine = quarantine
        self._judge = judge
        self._may_speak = may_speak

    async def __call__(self, *, host: str | None = None, reason: str | None = None) -> Replayed:
        """Oldest first. What counts now is in the quarantine no more, what is dropped again is there by its new reason,
        and what a blocked host said stays.

        Raises StorageUnavailable; whatever was not judged by then is still held.
        """
        applied = dropped = 0
        numbers = self._quarantine.held(host=host, reason=reason)
        for number in numbers[:AT_ONCE]:
            held = self._quarantine.take(number)
            if held is None:
                continue
            if self._may_speak(held.sender.host) is not None:
                self._quarantine.put_back(number, held)
                dropped += 1
                continue
            try:
                refusal = await self._judge(held.activity, held.sender, number)
            except BaseException:
                self._quarantine.put_back(number, held)
                raise
            if refusal is None:
                self._quarantine.forget(number)
                applied += 1
            else:
                dropped += 1
        return Replayed(applied, dropped, max(0, len(numbers) - AT_ONCE))
