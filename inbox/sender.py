"""Who speaks, once that is proven."""

from __future__ import annotations

import msgspec


class Sender(msgspec.Struct, frozen=True, gc=False):
    """Who proved to have sent an activity. ``signed_ms`` is its own clock, ``received_ms`` ours."""

    actor: str
    host: str
    signed_ms: int
    received_ms: int
