"""Who a viewer is, without knowing who it is: keys derived with a real secret, and tokens for browsers.

A viewer key is 16 bytes out of HMAC-SHA256. A session id gives the same key for as long as the secret lives; a network
address gives another key every UTC day, so that nobody who reads stored keys can follow an address across days or find
it by trying all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path

import msgspec

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.errors import ConfigError, Refused

SECRET_BYTES = 32
KEY_BYTES = 16
DAY_MS = 86_400_000

TOKEN_PREFIX = "fvt1."  # noqa: S105
"""How a viewer token begins: tells it from the bearer tokens of the configuration."""

MAX_TOKEN_CHARS = 2_048
MAX_USER_CHARS = 200
MAX_AGENT_CHARS = 500
MAX_TTL_MS = 30 * DAY_MS

_SESSION_ID = re.compile(r"[A-Za-z0-9-]{1,200}", re.ASCII)


def load_or_create_secret(path: Path) -> bytes:
    """The 32 bytes at ``path``, made on first start and readable by the owner only (mode 600).

    Raises ConfigError when the file holds something else (replacing it silently would change every viewer's key), or
    when every user of the machine may read it.
    """
    try:
        secret, mode = path.read_bytes(), path.stat().st_mode
    except FileNotFoundError:
        return _create_secret(path)
    if len(secret) != SECRET_BYTES:
        raise ConfigError(str(path), f"a viewer secret is {SECRET_BYTES} bytes; remove the file to have a new one made")
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigError(str(path), f"is open to every user of this machine; run: chmod 600 {path}")
    return secret


def _create_secret(path: Path) -> bytes:
    """Write it aside and link it into place, so that two starting processes agree on one secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_bytes(SECRET_BYTES)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError:
        return load_or_create_secret(path)
    finally:
        aside.unlink()
    return secret


def is_session_id(text: str) -> bool:
    """PeerTube 7.2's rule, ASCII letters, digits and ``-``, with a length (1..200) that PeerTube does not limit."""
    return _SESSION_ID.fullmatch(text) is not None


class _Hmac:
    """HMAC-SHA256 (RFC 2104) of many messages under one key of at most 64 bytes: both pads are hashed only once."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def digest(self, message: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


class Identity:
    """Derives viewer keys.

    ``trust_session_id`` is ``views.trust_viewer_session_id`` of the configuration: False makes `viewer` ignore what the
    player calls itself.
    """

    def __init__(self, secret: bytes, clock: Clock, trust_session_id: bool = True) -> None:
        if len(secret) < KEY_BYTES:
            raise ValueError("the viewer secret is too short")
        self._clock = clock
        self._trust_session_id = trust_session_id
        self._sessions = _Hmac(_derive(secret, b"viewer by session"))
        self._user_key = _derive(secret, b"viewer by user")
        self._address_key = _derive(secret, b"viewer by address")
        self._day = -1
        self._salts = (_Hmac(b""), _Hmac(b""))
        self._past = (-1, _Hmac(b""))

    def from_session(self, session_id: str) -> bytes:
        """The key of a player that names its session (the name has passed `is_session_id`)."""
        return self._sessions.digest(session_id.encode())[:KEY_BYTES]

    def from_user(self, user: str) -> bytes:
        """The key of a user that a viewer token vouches for: the same one in every browser."""
        return hmac.digest(self._user_key, user.encode("utf-8", "surrogatepass"), "sha256")[:KEY_BYTES]

    def from_address(self, ip: str, user_agent: str = "") -> tuple[bytes, bytes]:
        """Today's and yesterday's key of an address: whoever came before midnight is still here under yesterday's.

        IPv6 addresses count as their /64. ``user_agent`` tells people behind one address apart, at the price that a
        client makes itself as many viewers as it likes.
        """
        day = self._clock.now_ms() // DAY_MS
        if day != self._day:
            self._salts = (self._salt(day), self._salt(day - 1))
            self._day = day
        message = f"{network_key(ip)}\n{user_agent}".encode("utf-8", "surrogatepass")
        today, yesterday = self._salts
        return (
            today.digest(message)[:KEY_BYTES],
            yesterday.digest(message)[:KEY_BYTES],
        )

    def viewer(self, session_id: str | None, user: str | None, ip: str) -> tuple[bytes, bytes | None]:
        """The key of one report's sender, and the one it may have been known by yesterday.

        A trusted session id goes before the user (PeerTube counts tabs, not people), the address is the last resort.
        """
        if session_id is not None and self._trust_session_id:
            return self.from_session(session_id), None
        if user is not None:
            return self.from_user(user), None
        return self.from_address(ip)

    def visitor(self, site: str, session_id: str | None, ip: str, user_agent: str) -> tuple[bytes, bytes | None]:
        """As ``viewer``, of a web site's visitor: another key on every site. ``user_agent`` is cut."""
        if session_id is not None and self._trust_session_id:
            return self.from_session(f"{site}\n{session_id}"), None
        return self.from_address(ip, f"{site}\n{user_agent[:MAX_AGENT_CHARS]}")

    def visitor_then(self, site: str, session_id: str | None, ip: str, user_agent: str, at_ms: int) -> bytes:
        """The key that ``visitor`` gave, or would have given, at another time: of history that is brought in."""
        if session_id is not None and self._trust_session_id:
            return self.from_session(f"{site}\n{session_id}")
        day = at_ms // DAY_MS
        if day != self._past[0]:
            self._past = (day, self._salt(day))
        message = f"{network_key(ip)}\n{site}\n{user_agent[:MAX_AGENT_CHARS]}".encode("utf-8", "surrogatepass")
        return self._past[1].digest(message)[:KEY_BYTES]

    def _salt(self, day: int) -> _Hmac:
        return _Hmac(hmac.digest(self._address_key, day.to_bytes(8, "big", signed=True), "sha256"))


@dataclass(frozen=True, slots=True)
class ViewerToken:
    """What a valid token says: the video it opens, the host application's name for the user, its end, and whether
    the video is this viewer's own."""

    video: str
    user: str | None
    expires_ms: int
    owner: bool = False


class _Claims(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    video: str
    user: str | None
    expires_ms: int
    owner: bool = False


class ViewerTokens:
    """Short-lived signed permissions to watch one video, made for a browser by its host application.

    ``fvt1.<claims>.<HMAC-SHA256>``, both parts base64url without padding. Nothing is stored: a token ends by its time
    alone, so the time should be short.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._key = _derive(secret, b"viewer token")
        self._clock = clock
        self._decoder = msgspec.json.Decoder(_Claims)

    def issue(self, video_uuid: str, user: str | None, ttl_ms: int, *, owner: bool = False) -> str:
        """A token for this video, valid for ``ttl_ms`` from now (at most `MAX_TTL_MS`).

        Raises ValueError for a life or a user's name outside their bounds: callers check input first.
        """
        if not 0 < ttl_ms <= MAX_TTL_MS:
            raise ValueError("the life of a viewer token is out of bounds")
        if user is not None and not 1 <= len(user) <= MAX_USER_CHARS:
            raise ValueError("the user's name of a viewer token is out of bounds")
        claims = msgspec.json.encode(_Claims(video_uuid, user, self._clock.now_ms() + ttl_ms, owner))
        return f"{TOKEN_PREFIX}{_to_text(claims)}.{_to_text(self._mac(claims))}"

    def read(self, token: str) -> ViewerToken | Refused:
        """What the token says, whatever its video; refused: ``viewer_token_invalid``, ``viewer_token_expired``."""
        if len(token) > MAX_TOKEN_CHARS or not token.startswith(TOKEN_PREFIX):
            return _INVALID
        body, _, mac = token[len(TOKEN_PREFIX) :].partition(".")
        try:
            claims = _from_text(body)
            if not hmac.compare_digest(self._mac(claims), _from_text(mac)):
                return _INVALID
            said = self._decoder.decode(claims)
        except (ValueError, Base64Error, msgspec.MsgspecError):
            return _INVALID
        if said.expires_ms <= self._clock.now_ms():
            return _EXPIRED
        return ViewerToken(said.video, said.user, said.expires_ms, said.owner)

    def verify(self, token: str, video_uuid: str) -> ViewerToken | Refused:
        """Like `read`, and the token has to be for this video (else ``viewer_token_elsewhere``)."""
        said = self.read(token)
        if isinstance(said, ViewerToken) and said.video != video_uuid:
            return ELSEWHERE
        return said

    def _mac(self, claims: bytes) -> bytes:
        return hmac.digest(self._key, claims, "sha256")


_INVALID = Refused("viewer_token_invalid", "The viewer token is invalid", 401)
_EXPIRED = Refused("viewer_token_expired", "The viewer token has expired", 401)
ELSEWHERE = Refused("viewer_token_elsewhere", "The viewer token is not for this video", 401)
"""Also the answer where there is no such video: a token of one video must not tell which others exist."""


def _derive(secret: bytes, purpose: bytes) -> bytes:
    """A key of its own for every use of the one secret."""
    return hmac.digest(secret, purpose, "sha256")


def _to_text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _from_text(text: str) -> bytes:
    if not text.isascii() or not text.replace("-", "a").replace("_", "a").isalnum():
        raise ValueError("not base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
