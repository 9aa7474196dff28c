"""Whoever wants to hear of numbers as they move, and what they heard last."""

from __future__ import annotations

import logging
from collections.abc import Callable

from views.model import Video
from views.ports import Listener

logger = logging.getLogger(__name__)


class NumberListeners:
    """Says a number only when it is another one than it said last."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._heard: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """``listener`` hears of every number that moved, until the function returned is called."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
            if not self._listeners:
                self._heard.clear()

        return unsubscribe

    def forget(self, number: int) -> None:
        """The video is gone."""
        self._heard.pop(number, None)

    def say(self, video: Video, number: int) -> None:
        if self._heard.get(video.number, 0) == number:
            return
        if number:
            self._heard[video.number] = number
        else:
            self._heard.pop(video.number, None)
        for listener in tuple(self._listeners):
            try:
                listener(video, number)
            except Exception:
                logger.exception("a listener of viewer numbers failed")
