"""Names of viewers and stays for telemetry and webhooks: keyed hashes that lead nowhere back."""

from __future__ import annotations

import hashlib
from base64 import b32encode

from views.telemetry.subjects import Participant

DAY_MS = 86_400_000


class SessionNames:
    """The same in every process that has the same secret, so that one of them may say what another began."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.sha256(b"telemetry\0" + secret).digest()

    def participant(
        self, video: int, viewer: bytes, at_ms: int, *, active: bool = False, joined_ms: int = 0
    ) -> Participant:
        """``viewer`` (a key, whatever made it) at the video of this number, at this instant.

        ``sid`` is the same whenever it comes to this video, so that whoever sees it leave can name it without having
        seen it come; ``identity`` is the same at every video, for one UTC day.
        """
        here = b"here\0" + video.to_bytes(8, "big") + viewer
        day = b"day\0" + (at_ms // DAY_MS).to_bytes(8, "big") + viewer
        return Participant("VS_" + self._text(here), "VI_" + self._text(day), joined_ms, active)

    def _text(self, said: bytes) -> str:
        return b32encode(hashlib.blake2b(said, key=self._key, digest_size=10).digest()).decode("ascii")
