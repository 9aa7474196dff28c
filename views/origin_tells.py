"""Telling origins of viewers of ours: what was decided is written down, agreed on with other processes, and said."""

from __future__ import annotations

from collections.abc import Sequence

from foundation.metrics import Metrics
from views.counters.base import CounterStore, TellClaims, Told
from views.counters.base import Telling as TellClaim
from views.model import Video
from views.ports import Announcer, Tell
from views.telling import Telling


class OriginTells:
    """``claims`` is there where several processes hear of the same viewers. All may raise StorageUnavailable."""

    def __init__(
        self,
        store: CounterStore,
        announcer: Announcer,
        telling: Telling,
        metrics: Metrics,
        claims: TellClaims | None = None,
    ) -> None:
        self._store = store
        self._announcer = announcer
        self._telling = telling
        self._claims = claims
        self._tells = metrics.counter("fediviews_tells", "Viewers of ours that origins were to be told of")

    async def videos(self) -> Sequence[int]:
        """Those of which a former run told, to be restored; none where the store is asked whenever that matters."""
        return () if self._claims is not None else await self._store.told_videos()

    async def restore(self, video: Video, now_ms: int) -> None:
        """Know again what the origin of this video was told."""
        traits = self._announcer.origin_traits(video.origin)
        self._telling.restore(video, await self._store.told(video.number, now_ms), traits)

    async def acknowledged(self, tell: Tell, acked_ms: int) -> None:
        await self._store.mark_told(
            tell.video.number, Told(tell.viewer, tell.since_ms, tell.expires_ms, max(1, acked_ms))
        )

    async def say(self, tell: Tell, now_ms: int) -> None:
        """Unless another process said it."""
        if self._claims is not None:
            claimed = await self._claimed(self._claims, tell, now_ms)
            if claimed is None:
                return
            tell = claimed
        elif tell.since_ms == now_ms:
            # Its name has to outlive a restart even if the origin never answers.
            await self._store.mark_told(tell.video.number, Told(tell.viewer, now_ms, tell.expires_ms, 0))
        self._tells.inc()
        self._announcer.tell_origin(tell)

    async def _claimed(self, claims: TellClaims, tell: Tell, now_ms: int) -> Tell | None:
        """The tell under the name that all processes know the viewer by, unless another one told it."""
        video, viewer = tell.video, tell.viewer
        asked = TellClaim(tell.since_ms, tell.expires_ms, self._telling.resend_at_ms(video, viewer))
        granted, said = await claims.claim_tell(video.number, viewer, asked, now_ms)
        name = self._telling.learn(video, viewer, said)
        return Tell(video, viewer, name, said.expires_ms, said.since_ms) if granted else None
