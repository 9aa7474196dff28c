"""The Lua scripts of the Redis store. Each runs on one shard, as one step, in time that is bounded;
``foundation.redis.script`` says what all begin with.

=================  ====  =======================================================================================
key after base     type
=================  ====  =======================================================================================
``v:VIDEO:SOURCE`` zset  viewer (16 bytes) -> end; SOURCE is empty for ours
``s:VIDEO``        set   sources with viewers
``h:VIDEO``        text  the video is hot: who belongs to another shard is not added here
``t:VIDEO``        hash  the origin's total: count, exp, fresh, order, ours, granted
``m:VIDEO``        hash  what is remembered of its totals: order, until, fingerprints seen at that order
``o:VIDEO``        hash  viewer -> since, then end and acknowledgement of the last tell and of the one before
``ot:VIDEO``       hash  viewer -> since, end told, when telling again is worth it; for whoever is about to tell
``oe``             zset  VIDEO:VIEWER -> when what was told of it can be forgotten
``ov``             zset  videos of which something is told -> when that ends
``due``            zset  VIDEO:SOURCE, and VIDEO:= for totals -> not later than the first end in it
``n``              text  viewers in the shard
``ended``          set   videos that lost viewers or their total since the last sweep
``seq``, ``chg``   zset  video -> number of its last change; numbers grow, also over a flush
``c``              zset  VIDEO:GENERATION:VIEWER -> until when its view is claimed
``g``              hash  video -> generation: a forgotten video's claims are those of an earlier one
``p:VIDEO``        hash  viewer -> watch progress
``pe``             zset  VIDEO:VIEWER -> when it has been silent for too long, or is asked about again
``q:VIDEO``        hash  key of a closed stay -> its watch progress
``qe``             zset  VIDEO:KEY -> from when on somebody may save it
``pv``             set   videos with watch progress
=================  ====  =======================================================================================

Every key has a life, renewed while it is used: what nobody sweeps any more cleans itself.
"""

from __future__ import annotations

from views.counters.redis.lua import DRAINING, DROPPING_PEERS, script

TOUCH = script(
    "touch",
    """
local video, source, viewer, exp, role = ARGV[4], ARGV[5], ARGV[6], ARGV[7] + shift, ARGV[8]
if exp <= now then return 0 end
local group = video .. ':' .. source
local key = B .. 'v:' .. group
local old = call('ZSCORE', key, viewer)
old = old and tonumber(old)
if old and old > now then
  if exp > old then
    call('ZADD', key, exp, viewer)
    -- Not at every touch: lives of keys have a minute and more to spare.
    if math.floor(old / 30000) ~= math.floor(exp / 30000) then
      renew('v:' .. group, 's:' .. video, 'due', 'n')
    end
  end
  return 0
end
if role == 'known' then return 3 end
if role == 'guest' then
  local split = tonumber(ARGV[10])
  if call('EXISTS', B .. 'h:' .. video) == 1 or (split > 0 and call('ZCARD', key) >= split) then
    call('SET', B .. 'h:' .. video, 1, 'PX', TTL)
    return 2
  end
end
if not old then
  local limit = tonumber(ARGV[9])
  if tonumber(call('GET', B .. 'n') or 0) >= limit then
    drain(100)
    if tonumber(call('GET', B .. 'n') or 0) >= limit then return 4 end
  end
  call('INCR', B .. 'n')
end
call('ZADD', key, exp, viewer)
call('ZADD', B .. 'due', 'LT', exp, group)
call('SADD', B .. 's:' .. video, source)
renew('v:' .. group, 's:' .. video, 'due', 'n')
moved(video)
return 1
""",
    DRAINING,
)
"""video, source, viewer, end, role, room, split at -> a number of ``Touched``.

Role ``own``: this is its shard. ``guest``: this is the home, its own shard is another. ``known``: only extend.
"""

HAS = script(
    "has",
    """
local till = call('ZSCORE', B .. 'v:' .. ARGV[4] .. ':' .. ARGV[5], ARGV[6])
return {(till and tonumber(till) > now) and 1 or 0, call('EXISTS', B .. 'h:' .. ARGV[4])}
""",
)
"""video, source, viewer -> here, hot."""

LEAVE = script(
    "leave",
    """
local video, source = ARGV[4], ARGV[5]
local group = video .. ':' .. source
local key = B .. 'v:' .. group
local till, hot = call('ZSCORE', key, ARGV[6]), call('EXISTS', B .. 'h:' .. video)
if not till then return {0, hot} end
call('ZREM', key, ARGV[6])
call('DECR', B .. 'n')
if call('EXISTS', key) == 0 then closed(video, source, group) end
if tonumber(till) <= now then
  ended(video)
  return {0, hot}
end
moved(video)
return {1, hot}
""",
)
"""video, source, viewer -> was here, hot."""

READ = script(
    "read",
    """
local rows, since = {}, '(' .. text(now)
for i = 4, #ARGV do
  local video = ARGV[i]
  local row, till = {call('EXISTS', B .. 'h:' .. video), false}, fresh(video)
  if till and till > now then
    local kept = call('HMGET', B .. 't:' .. video, 'count', 'exp', 'order', 'ours', 'granted')
    row[2] = {kept[1], text(kept[2] - shift), kept[3], kept[4], kept[5]}
  end
  for _, source in ipairs(call('SMEMBERS', B .. 's:' .. video)) do
    local count = call('ZCOUNT', B .. 'v:' .. video .. ':' .. source, since, '+inf')
    if count > 0 then
      row[#row + 1] = source
      row[#row + 1] = count
    end
  end
  rows[#rows + 1] = row
end
return rows
""",
)
"""videos -> for each: hot, total or nothing, then source and count by turns."""

PUT_TOTAL = script(
    "put_total",
    """
local video, exp, granted = ARGV[4], ARGV[6] + shift, tonumber(ARGV[9])
local till = exp + math.floor(math.max(0, granted) / 4)
local known = fresh(video)
if till <= now then return {0, 0} end
if known and known > now and tonumber(call('HGET', B .. 't:' .. video, 'order')) > tonumber(ARGV[7]) then
  return {0, 0}
end
local order, print, keep, mark = tonumber(ARGV[7]), ARGV[11], tonumber(ARGV[10]), B .. 'm:' .. video
local marked, seen = call('HMGET', mark, 'order', 'until', 'seen'), ''
local marks = marked[2] and tonumber(marked[2]) > now
if marks then
  if tonumber(marked[1]) > order then return {0, 0} end
  if tonumber(marked[1]) == order then
    seen = marked[3]
    local newest = string.sub(seen, -16) == print
    if print ~= '' and not newest and (string.find(seen, print, 1, true) or #seen >= 16 * tonumber(ARGV[12])) then
      return {0, 0}
    end
  end
end
keep = keep + shift
if print ~= '' and keep > now then
  if marks then keep = math.max(keep, tonumber(marked[2])) end
  if string.sub(seen, -16) ~= print then seen = seen .. print end
  call('HSET', mark, 'order', ARGV[7], 'until', text(keep), 'seen', seen)
  call('PEXPIRE', mark, text(math.ceil(keep - now)))
end
call('HSET', B .. 't:' .. video, 'count', ARGV[5], 'exp', text(exp), 'fresh', text(till), 'order', ARGV[7],
  'ours', ARGV[8], 'granted', ARGV[9])
call('ZADD', B .. 'due', till, video .. ':=')
renew('t:' .. video, 'due')
drop_peers(video)
moved(video)
return {1, call('EXISTS', B .. 'h:' .. video)}
""",
    DROPPING_PEERS,
)
"""video, count, end, order, ours, granted, end and fingerprint of the mark, most fingerprints -> taken, hot."""

DROP_PEERS = script("drop_peers", "drop_peers(ARGV[4])\nreturn 1\n", DROPPING_PEERS)
"""video -> 1; on the other shards of a hot video whose total came."""

WATCHED = script(
    "watched",
    """
local found, seen, since = {}, {}, '(' .. text(now)
for _, group in ipairs(call('ZRANGE', B .. 'due', 0, -1)) do
  local video, source = parted(group)
  if not seen[video] then
    local alive
    if source == '=' then
      local till = fresh(video)
      alive = till and till > now
    else
      alive = call('ZCOUNT', B .. 'v:' .. group, since, '+inf') > 0
    end
    if alive then
      seen[video] = true
      found[#found + 1] = tonumber(video)
    end
  end
end
return found
""",
)
"""-> videos with anything alive in this shard."""

SWEEP = script(
    "sweep",
    """
local most = tonumber(ARGV[4])
keeps = ARGV[6] == '1'
local again = drain(most) == most and 1 or 0
local told = call('ZRANGEBYSCORE', B .. 'oe', '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(told) do
  local video, viewer = parted(id)
  call('HDEL', B .. 'o:' .. video, viewer)
  call('HDEL', B .. 'ot:' .. video, viewer)
  call('ZREM', B .. 'oe', id)
end
if #told == most then again = 1 end
call('ZREMRANGEBYSCORE', B .. 'ov', '-inf', now)
call('ZREMRANGEBYRANK', B .. 'chg', 0, -ARGV[5] - 1)
local found = call('SPOP', B .. 'ended', most)
if #found == most then again = 1 end
return {again, lost, found, departed}
""",
    DRAINING,
)
"""most at once, changes kept, whether to say who departed -> whether there is more, whether to recount, videos that
changed, video and departed viewer by turns."""

RECOUNT = script(
    "recount",
    """
local viewers = 0
for _, group in ipairs(call('ZRANGE', B .. 'due', 0, -1)) do
  local video, source = parted(group)
  if source ~= '=' then
    local count = call('ZCARD', B .. 'v:' .. group)
    viewers = viewers + count
    if count == 0 then closed(video, source, group) end
  end
end
call('SET', B .. 'n', viewers, 'PX', TTL)
return viewers
""",
)
"""-> viewers in the shard, counted one group after another: after keys ended unswept."""

FORGET_SOURCE = script(
    "forget_source",
    """
local source = ARGV[4]
for _, group in ipairs(call('ZRANGE', B .. 'due', 0, -1)) do
  local video, of = parted(group)
  if of == source then
    call('DECRBY', B .. 'n', call('ZCARD', B .. 'v:' .. group))
    call('UNLINK', B .. 'v:' .. group)
    closed(video, source, group)
    ended(video)
  end
end
return 1
""",
)
"""source -> 1."""

FORGET_VIDEO = script(
    "forget_video",
    """
local video = ARGV[4]
for _, source in ipairs(call('SMEMBERS', B .. 's:' .. video)) do
  local group = video .. ':' .. source
  call('DECRBY', B .. 'n', call('ZCARD', B .. 'v:' .. group))
  call('UNLINK', B .. 'v:' .. group)
  call('ZREM', B .. 'due', group)
end
for _, viewer in ipairs(call('HKEYS', B .. 'o:' .. video)) do call('ZREM', B .. 'oe', video .. ':' .. viewer) end
call('UNLINK', B .. 's:' .. video, B .. 'h:' .. video, B .. 't:' .. video, B .. 'o:' .. video, B .. 'ot:' .. video)
call('UNLINK', B .. 'm:' .. video)
call('ZREM', B .. 'due', video .. ':=')
call('ZREM', B .. 'ov', video)
call('SREM', B .. 'ended', video)
if ARGV[5] == 'all' then
  call('HINCRBY', B .. 'g', video, 1)
  call('PEXPIRE', B .. 'g', ARGV[6])
end
moved(video)
return 1
""",
)
"""video, ``all`` or ``live`` (claims and progress stay), life of generations -> 1."""

CHANGES = script(
    "changes",
    """
return call('ZRANGEBYSCORE', B .. 'chg', '(' .. ARGV[4], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
""",
)
"""number seen, most at once -> video and number of its last change by turns, oldest first."""
