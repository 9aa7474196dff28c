"""When to tell a remote origin about viewers of ours, and under which name.

PeerTube tells on every report of a viewer, at most once per 90 s, a life of 120 s from then: whoever reports more
rarely is lost, whoever left is kept. Here the tell carries the viewer's real life, and is repeated when a share of the
told life has passed (``OriginTraits.resend_after``) and there is news.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterable, Iterator

from foundation.metrics import Metrics
from views.counters.agenda import Agenda
from views.counters.base import Telling as Said
from views.counters.base import Told
from views.model import Video
from views.ports import OriginTraits, Tell


def wire_id(secret: bytes, video_uuid: str, viewer: bytes, since_ms: int) -> str:
    """The name of one stay of one viewer at one video: 36 characters of a UUID (RFC 9562 version 8), linkable to
    nothing else without the secret."""
    digest = hmac.digest(
        secret, b"|".join((video_uuid.encode(), viewer.hex().encode(), b"%d" % since_ms)), hashlib.sha256
    )
    bits = int.from_bytes(digest[:16], "big") & ~(0xF << 76) & ~(0b11 << 62)
    return str(uuid.UUID(int=bits | (0x8 << 76) | (0b10 << 62)))


class _Stay:
    """One viewer of ours at one remote video, from its first sign of life until nobody knows of it any more.

    ``resend_at_ms``: from then on news of its life is worth a tell.
    """

    __slots__ = ("expires_ms", "resend_at_ms", "since_ms", "told_expires_ms", "video")

    def __init__(self, video: Video, since_ms: int, told_expires_ms: int = 0, resend_at_ms: int = 0) -> None:
        self.video = video
        self.since_ms = since_ms
        self.expires_ms = 0
        self.told_expires_ms = told_expires_ms
        self.resend_at_ms = resend_at_ms

    @property
    def over_ms(self) -> int:
        """When neither we nor the origin know of the viewer any more."""
        return max(self.expires_ms, self.told_expires_ms)


class Telling:
    """Decides; says nothing itself. All costs are O(1) per sign of life and proportional to what is due.

    A viewer that leaves and comes back while the origin still knows it keeps its name, so the origin extends it.
    At most ``max_stays`` are known: whoever is beyond is shown here, but the origin does not hear of it
    (``fediviews_telling_refused_total``).
    """

    def __init__(self, secret: bytes, max_stays: int = 1_000_000, metrics: Metrics | None = None) -> None:
        self._secret = secret
        self._max_stays = max_stays
        self._stays: dict[tuple[int, bytes], _Stay] = {}
        self._agenda: Agenda[tuple[int, bytes]] = Agenda()
        metrics = metrics or Metrics()
        metrics.gauge_from("fediviews_telling_stays", "Viewers of ours that origins hear of", lambda: len(self._stays))
        self._refused = metrics.counter("fediviews_telling_refused", "Viewers of ours that found no room to be told")

    def __len__(self) -> int:
        return len(self._stays)

    def restore(self, video: Video, told: Iterable[Told], traits: OriginTraits) -> None:
        """What was told before a restart, the newest tell of each viewer first."""
        for tell in told:
            key = (video.number, tell.viewer)
            if key not in self._stays:
                resend_at_ms = _resend_at_ms(tell.acked_ms, tell.told_expires_ms, traits) if tell.acked_ms else 0
                self._stays[key] = _Stay(video, tell.since_ms, tell.told_expires_ms, resend_at_ms)
                self._agenda.put(key, resend_at_ms or tell.told_expires_ms)

    def alive(self, video: Video, viewer: bytes, expires_ms: int, now_ms: int, traits: OriginTraits) -> Tell | None:
        """A sign of life, and the tell it asks for: of a new viewer, or of one whose repetition waited for news."""
        key = (video.number, viewer)
        stay = self._stays.get(key)
        if stay is None:
            if len(self._stays) >= self._max_stays:
                self._refused.inc()
                return None
            stay = self._stays[key] = _Stay(video, now_ms)
        elif stay.over_ms <= now_ms:
            stay.since_ms, stay.resend_at_ms = now_ms, 0
        if expires_ms > stay.expires_ms:
            stay.expires_ms = expires_ms
        if now_ms < stay.resend_at_ms or stay.expires_ms <= stay.told_expires_ms:
            return None
        return self._tell(key, stay, now_ms, traits)

    def resend_at_ms(self, video: Video, viewer: bytes) -> int:
        """From when on the viewer is worth telling again; 0 for one that is not known."""
        stay = self._stays.get((video.number, viewer))
        return 0 if stay is None else stay.resend_at_ms

    def learn(self, video: Video, viewer: bytes, said: Said) -> str:
        """What holds of the viewer by what other processes told; returns its name."""
        key = (video.number, viewer)
        stay = self._stays.get(key)
        if stay is not None:
            stay.since_ms, stay.told_expires_ms = said.since_ms, said.expires_ms
            stay.resend_at_ms = said.resend_at_ms
            stay.expires_ms = max(stay.expires_ms, said.expires_ms)
            self._agenda.put(key, stay.resend_at_ms)
        return wire_id(self._secret, video.uuid, viewer, said.since_ms)

    def left(self, video: Video, viewer: bytes) -> None:
        """The viewer is gone; there is no way to say so, but its life is not told again."""
        stay = self._stays.get((video.number, viewer))
        if stay is not None:
            stay.expires_ms = 0

    def wire_id(self, video: Video, viewer: bytes) -> str:
        """The name of the viewer's stay; the same one as long as the stay lasts."""
        stay = self._stays.get((video.number, viewer))
        return wire_id(self._secret, video.uuid, viewer, 0 if stay is None else stay.since_ms)

    def forget_video(self, video: int) -> None:
        for key in [key for key in self._stays if key[0] == video]:
            del self._stays[key]

    def due(self, now_ms: int, traits_of: Callable[[str], OriginTraits]) -> Iterator[Tell]:
        """The tells that time asks for; ``traits_of(origin)``."""
        for key in self._agenda.pop_due(now_ms):
            stay = self._stays.get(key)
            if stay is None:
                continue
            if stay.over_ms <= now_ms:
                del self._stays[key]
            elif now_ms < stay.resend_at_ms:
                self._agenda.put(key, stay.resend_at_ms)
            elif stay.expires_ms > max(now_ms, stay.told_expires_ms):
                yield self._tell(key, stay, now_ms, traits_of(stay.video.origin))
            else:
                self._agenda.put(key, stay.over_ms)

    def _tell(self, key: tuple[int, bytes], stay: _Stay, now_ms: int, traits: OriginTraits) -> Tell:
        stay.told_expires_ms = stay.expires_ms
        stay.resend_at_ms = _resend_at_ms(now_ms, stay.expires_ms, traits)
        self._agenda.put(key, stay.resend_at_ms)
        name = wire_id(self._secret, stay.video.uuid, key[1], stay.since_ms)
        return Tell(stay.video, key[1], name, stay.expires_ms, stay.since_ms)


def _resend_at_ms(told_ms: int, expires_ms: int, traits: OriginTraits) -> int:
    return told_ms + int((expires_ms - told_ms) * traits.resend_after)
