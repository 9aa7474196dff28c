"""A JWT that vouches for the body it comes with, as LiveKit's webhooks have it.

HS256 (RFC 7515, RFC 7519): ``iss`` names the key, ``sha256`` is the base64 of the body's SHA-256, ``nbf`` and ``exp``
bound its life. It stands in ``Authorization`` alone, without a scheme (livekit/protocol, ``webhook`` and ``auth``).
"""

from __future__ import annotations

import hashlib
import hmac
import warnings
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from foundation.errors import Refused

CONTENT_TYPE = "application/webhook+json"
"""LiveKit's: no framework parses such a body before it was verified."""

ALGORITHM = "HS256"
LIFE_S = 300
"""How long a token made here is valid (LiveKit's five minutes)."""

LEEWAY_S = 60
"""How far apart clocks may be (what LiveKit's own receivers grant)."""

LONGEST_LIFE_S = 86_400
"""A token that is valid for longer is not taken: what proves a body once must not prove it for ever."""

MAX_TOKEN_CHARS = 4_096

# A short secret is the choice of whoever runs both ends (the documentation says what it costs); a line per message is
# no help.
warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)

_JWS = jwt.PyJWT(options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False})
"""Times are judged here, by the clock that everything else goes by."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who vouches for a body (the key's name) and until when its token is taken, Unix milliseconds."""

    key: str
    until_ms: int


def vouch(body: bytes, key: str, secret: str, now_ms: int) -> str:
    """A token for ``body``, valid from now for five minutes."""
    now_s = now_ms // 1000
    claims = {"iss": key, "nbf": now_s, "iat": now_s, "exp": now_s + LIFE_S, "sha256": _digest(body)}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def verify(token: str | None, body: bytes, secrets: Mapping[str, str], now_ms: int) -> Vouched | Refused:
    """Whether one of the keys vouches for exactly this body, now.

    Refused with 401: ``webhook_unsigned`` (no token, or nothing like one), ``webhook_key`` (a key not known here),
    ``webhook_signature``, ``webhook_expired`` (over, not yet valid, or without an end), ``webhook_body``.
    """
    if not token or len(token) > MAX_TOKEN_CHARS:
        return Refused("webhook_unsigned", "no token, or one that is too long", 401)
    try:
        key = jwt.decode(token, options={"verify_signature": False}, algorithms=[ALGORITHM]).get("iss")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return Refused("webhook_unsigned", "not a token", 401)
    secret = secrets.get(key) if isinstance(key, str) else None
    if not isinstance(key, str) or secret is None:
        return Refused("webhook_key", "signed with a key that is not known here", 401)
    try:
        claims = _JWS.decode(token, secret, algorithms=[ALGORITHM])
    except (jwt.InvalidTokenError, ValueError):
        return Refused("webhook_signature", "the token is not signed with this key's secret", 401)
    until_s = _valid_until_s(claims, now_ms // 1000)
    if until_s is None:
        return Refused("webhook_expired", "the token is over, or not valid yet; is a clock wrong?", 401)
    digest = claims.get("sha256")
    if not isinstance(digest, str) or not hmac.compare_digest(
        digest.encode("utf-8", "replace"), _digest(body).encode()
    ):
        return Refused("webhook_body", "the body is not the one that was signed", 401)
    return Vouched(key, until_s * 1000)


def _valid_until_s(claims: Mapping[str, object], now_s: int) -> int | None:
    """When the token ends, leeway included; None when it is not valid now."""
    end, begin = claims.get("exp"), claims.get("nbf", claims.get("iat", now_s))
    if not isinstance(end, int | float) or not isinstance(begin, int | float):
        return None
    if not begin - LEEWAY_S <= now_s < end + LEEWAY_S or end > now_s + LONGEST_LIFE_S:
        return None
    return int(end) + LEEWAY_S


def _digest(body: bytes) -> str:
    return b64encode(hashlib.sha256(body).digest()).decode()
