"""The Lua scripts of the shared door out; ``foundation.redis.script`` says what all begin with.

====================  ====  ====================================================================================
key after base        type
====================  ====  ====================================================================================
``b:CADENCE``         hash  video of this shard -> its entry: number of its last change, number said, number seen,
                            when it changed, whether peers heard different numbers, tokens, when they were refilled
``bz:CADENCE``        zset  video -> number of its last change
``bq:CADENCE``        text  the newest number given
``bm``                set   CADENCE:VIDEO of which a peer was told another number than the one said
``pc``                hash  CADENCE HOST of a peer of this shard -> its cursor: a number for every shard
``tz``                zset  HOST VIDEO VIEWER to be told to an origin of this shard -> number of the telling
``th``                hash  the same -> name there, end, begin of the stay
``tq``                text  the newest number given
====================  ====  ====================================================================================
"""

from __future__ import annotations

from foundation.redis.leases import FENCE
from foundation.redis.script import script

PUBLISH = script(
    "board_publish",
    """
local cadence = ARGV[5]
local entries, order = B .. 'b:' .. cadence, B .. 'bz:' .. cadence
if not held(ARGV[4]) then return 0 end
for i = 7, #ARGV, 8 do
  local video = ARGV[i]
  if ARGV[i + 1] == '' then
    call('HDEL', entries, video)
    call('ZREM', order, video)
  else
    local changed, refilled = text(now - ARGV[i + 4]), text(now - ARGV[i + 7])
    call('HSET', entries, video, table.concat(
      {ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], changed, ARGV[i + 5], ARGV[i + 6], refilled}, ' '))
    call('ZADD', order, ARGV[i + 1], video)
  end
end
call('SET', B .. 'bq:' .. cadence, ARGV[6])
renew('b:' .. cadence, 'bz:' .. cadence, 'bq:' .. cadence)
return 1
""",
    FENCE,
)
"""token, cadence, newest number, then of each video: itself, number, said, seen, age of the change, mixed, tokens, age
of the refill (empty number: it is gone) -> 1, or 0: another process holds the shard. Ages are milliseconds."""

SINCE = script(
    "board_since",
    """
local cadence, found = ARGV[4], {}
for _, video in ipairs(call('ZRANGEBYSCORE', B .. 'bz:' .. cadence, '(' .. ARGV[5], '+inf', 'LIMIT', 0, ARGV[6])) do
  local kept = call('HGET', B .. 'b:' .. cadence, video)
  if kept then
    local number, said, seen, changed, mixed, tokens, refilled =
      string.match(kept, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
    found[#found + 1] = {video, number, said, seen, text(now - changed), mixed, tokens, text(now - refilled)}
  end
end
return found
""",
)
"""cadence, number seen, most -> entries changed since, in the order of their changes, as ``PUBLISH`` takes them."""

NEWEST = script(
    "board_newest",
    """
local time = call('TIME')
return {call('GET', B .. 'bq:' .. ARGV[4]), string.format('%.0f', time[1] * 1000000 + time[2])}
""",
)
"""cadence -> the newest number given or nothing, the server's time in microseconds."""

MARK = script(
    "board_mark",
    """
for i = 4, #ARGV do call('SADD', B .. 'bm', ARGV[i]) end
renew('bm')
return 1
""",
)
"""CADENCE:VIDEO, ... -> 1."""

TAKE_MARKS = script(
    "board_take_marks",
    """
if not held(ARGV[4]) then return {} end
return call('SPOP', B .. 'bm', 1000)
""",
    FENCE,
)
"""token -> what was marked."""

KEEP_CURSOR = script(
    "board_keep_cursor",
    """
if not held(ARGV[4]) then return 0 end
for i = 5, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    call('HDEL', B .. 'pc', ARGV[i])
  else
    call('HSET', B .. 'pc', ARGV[i], ARGV[i + 1])
  end
end
renew('pc')
return 1
""",
    FENCE,
)
"""token, then peer and cursor by turns (empty: forgotten) -> 1, or 0: another process serves the shard's peers."""

CURSORS = script("board_cursors", "return call('HGETALL', B .. 'pc')\n")
"""-> peer and cursor by turns."""

PUT_TELLS = script(
    "tells_put",
    """
local crowded, most = 0, tonumber(ARGV[4])
local number = tonumber(call('GET', B .. 'tq') or now * 1000)
for i = 5, #ARGV, 4 do
  local slot = ARGV[i]
  if call('ZSCORE', B .. 'tz', slot) or call('ZCARD', B .. 'tz') < most then
    number = number + 1
    call('ZADD', B .. 'tz', text(number), slot)
    call('HSET', B .. 'th', slot, ARGV[i + 1] .. ' ' .. text(ARGV[i + 2] + shift) .. ' ' .. ARGV[i + 3])
  else
    crowded = crowded + 1
  end
end
call('SET', B .. 'tq', text(number))
renew('tz', 'th', 'tq')
return crowded
""",
)
"""room, then slot, name, end, begin by turns -> how many found no room."""

TAKE_TELLS = script(
    "tells_take",
    """
if not held(ARGV[4]) then return {} end
local found = {}
for _, slot in ipairs(call('ZRANGE', B .. 'tz', 0, 99)) do
  local till = string.match(call('HGET', B .. 'th', slot) or '', '^%S+ (%S+) ')
  if not till or tonumber(till) <= now then
    call('ZREM', B .. 'tz', slot)
    call('HDEL', B .. 'th', slot)
  end
end
local kept = call('ZRANGEBYSCORE', B .. 'tz', '(' .. ARGV[5], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[6])
for i = 1, #kept, 2 do
  local name, till, since = string.match(call('HGET', B .. 'th', kept[i]) or '', '^(%S+) (%S+) (%S+)$')
  if not name or tonumber(till) <= now then
    call('ZREM', B .. 'tz', kept[i])
    call('HDEL', B .. 'th', kept[i])
    name = ''
  end
  found[#found + 1] = {kept[i], kept[i + 1], name, till and text(till - shift) or '0', since or '0'}
end
return found
""",
    FENCE,
)
"""token, number seen, most -> slot, number, name (empty: it is over), end, begin. They stay until ``SETTLE_TELLS``."""

SETTLE_TELLS = script(
    "tells_settle",
    """
for i = 4, #ARGV, 2 do
  if call('ZSCORE', B .. 'tz', ARGV[i]) == ARGV[i + 1] then
    call('ZREM', B .. 'tz', ARGV[i])
    call('HDEL', B .. 'th', ARGV[i])
  end
end
return 1
""",
)
"""slot and number by turns -> 1; a slot that was filled anew meanwhile stays."""
