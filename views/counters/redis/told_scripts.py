"""Scripts about what origins were told of viewers of ours, and about views that were claimed. Keys: see ``scripts``."""

from __future__ import annotations

from views.counters.redis.lua import script

TOLD = script(
    "told",
    """
local found, kept = {}, call('HGETALL', B .. 'o:' .. ARGV[4])
local function add(viewer, since, exp, ack)
  if tonumber(exp) > now then
    found[#found + 1] = {viewer, since, text(exp - shift), ack == '0' and ack or text(ack - shift)}
  end
end
for i = 1, #kept, 2 do
  local since, exp, ack, exp2, ack2 = string.match(kept[i + 1], '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  add(kept[i], since, exp, ack)
  add(kept[i], since, exp2, ack2)
end
return found
""",
)
"""video -> viewer, since, end, acknowledgement of each tell that lasts beyond the instant asked about."""

MARK_TOLD = script(
    "mark_told",
    """
local video, viewer, since, exp, ack = ARGV[4], ARGV[5], ARGV[6], ARGV[7] + shift, ARGV[8]
local key, id, exp2, ack2 = B .. 'o:' .. video, video .. ':' .. viewer, '0', '0'
if ack ~= '0' then ack = text(ack + shift) end
local before = call('HGET', key, viewer)
if before then
  local since1, last, acked, last2, acked2 = string.match(before, '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  if since1 == since then
    -- The same life said twice differs by what the two clocks were measured apart.
    if acked ~= '0' and math.abs(last - exp) > 100 then
      exp2, ack2 = last, acked
    else
      exp2, ack2 = last2, acked2
    end
  end
elseif call('ZCARD', B .. 'oe') >= tonumber(ARGV[9]) then
  return 4
end
call('HSET', key, viewer, table.concat({since, text(exp), ack, exp2, ack2}, ' '))
local over = math.max(exp, tonumber(exp2)) + ARGV[10]
call('ZADD', B .. 'oe', over, id)
call('ZADD', B .. 'ov', 'GT', over, video)
renew('o:' .. video, 'oe', 'ov')
return 1
""",
)
"""video, viewer, since, end, acknowledgement, room, memory -> 1, or 4: no room."""

CLAIM_TELL = script(
    "claim_tell",
    """
local video, viewer, since, exp, again = ARGV[4], ARGV[5], ARGV[6], ARGV[7] + shift, ARGV[8] + shift
local key, id = B .. 'ot:' .. video, video .. ':' .. viewer
local here = tonumber(call('ZSCORE', B .. 'v:' .. video .. ':', viewer) or 0)
if here > exp then
  -- Others heard of it later than the asker did.
  again = now + math.floor((again - now) * (here - now) / math.max(1, exp - now))
  exp = here
end
local before = call('HGET', key, viewer)
if before then
  local since1, last, again1 = string.match(before, '^(%S+) (%S+) (%S+)$')
  if math.max(tonumber(last), here) > now then
    if now < tonumber(again1) or exp <= last + 100 then
      return {0, since1, text(last - shift), text(again1 - shift)}
    end
    since = since1
  end
elseif call('ZCARD', B .. 'oe') >= tonumber(ARGV[9]) then
  return {0, since, text(exp - shift), text(again - shift)}
end
call('HSET', key, viewer, table.concat({since, text(exp), text(again)}, ' '))
call('ZADD', B .. 'oe', 'GT', exp + ARGV[10], id)
call('ZADD', B .. 'ov', 'GT', exp + ARGV[10], video)
renew('ot:' .. video, 'oe', 'ov')
return {1, since, text(exp - shift), text(again - shift)}
""",
)
"""video, viewer, begin, end, when to tell again, room, memory -> whether it is to be told, begin, end, when again."""

TOLD_VIDEOS = script(
    "told_videos",
    """
call('ZREMRANGEBYSCORE', B .. 'ov', '-inf', now)
return call('ZRANGE', B .. 'ov', 0, -1)
""",
)
"""-> videos at home here of which something is told."""


_GENERATION = """
local function named(video, viewer)
  local generation = call('HGET', B .. 'g', video)
  if generation then renew('g') end
  return video .. ':' .. (generation or '0') .. ':' .. viewer
end
"""

CLAIM = script(
    "claim",
    """
local id, till = named(ARGV[4], ARGV[5]), ARGV[6] + shift
local old = call('ZSCORE', B .. 'c', id)
if old and tonumber(old) > now then return 0 end
if till <= now then return 1 end
if not old and call('ZCARD', B .. 'c') >= tonumber(ARGV[7]) then
  call('ZREMRANGEBYSCORE', B .. 'c', '-inf', now)
  if call('ZCARD', B .. 'c') >= tonumber(ARGV[7]) then return 4 end
end
-- Each claim takes away more ended ones than it adds.
local ends = call('ZRANGE', B .. 'c', 0, 3, 'WITHSCORES')
for i = 1, #ends, 2 do
  if tonumber(ends[i + 1]) <= now then call('ZREM', B .. 'c', ends[i]) end
end
call('ZADD', B .. 'c', till, id)
renew('c')
return 1
""",
    _GENERATION,
)
"""video, viewer, until, room -> taken now, or 4: no room. The life of keys is that of claims."""

RELEASE = script("release", "return call('ZREM', B .. 'c', named(ARGV[4], ARGV[5]))\n", _GENERATION)
"""video, viewer -> whether there was one."""
