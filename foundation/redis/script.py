"""Lua scripts: each runs on one shard, as one step. What all of them begin with, and how Redis knows them.

``KEYS[1]`` is the base of the shard's keys, all of them on its slot. ``ARGV`` begins with the caller's clock (empty:
the caller's instants are taken as they are), the instant asked about, and the life of keys, in milliseconds. Inside,
time is the server's: what the caller says is moved by the difference of the two clocks at this moment, and moved back
in answers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """Lua text, and the SHA-1 by which Redis knows it."""

    name: str
    text: str = field(repr=False)
    sha: str = ""


_PRELUDE = """
local call, B, shift = redis.call, KEYS[1], 0
if ARGV[1] ~= '' then
  local time = call('TIME')
  shift = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
end
local now, TTL = ARGV[2] + shift, ARGV[3]
local function text(number) return string.format('%.0f', number) end
local function renew(...)
  for _, name in ipairs({...}) do call('PEXPIRE', B .. name, TTL) end
end
"""


def script(name: str, body: str, *parts: str) -> Script:
    """``body`` after what all scripts share, and ``parts``."""
    text = "".join((_PRELUDE, *parts, body))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def bases(prefix: str, shards: int) -> tuple[bytes, ...]:
    """What every key of a shard begins with: ``prefix`` keeps instances apart, ``{0}`` … are the hash tags."""
    return tuple(f"{prefix}:{{{shard}}}:".encode() for shard in range(shards))
