"""What the Lua scripts of the Redis store are made of: a prelude that all share, and parts that some do."""

from __future__ import annotations

from foundation.redis.script import Script
from foundation.redis.script import script as redis_script

_SHARED = """
local function moved(video)
  if call('EXISTS', B .. 'seq') == 0 then call('SET', B .. 'seq', text(now * 1000)) end
  call('ZADD', B .. 'chg', call('INCR', B .. 'seq'), video)
  renew('seq', 'chg')
end
local function ended(video)
  call('SADD', B .. 'ended', video)
  renew('ended')
  moved(video)
end
local function parted(id)
  local colon = string.find(id, ':', 1, true)
  return string.sub(id, 1, colon - 1), string.sub(id, colon + 1)
end
local function closed(video, source, group)
  call('SREM', B .. 's:' .. video, source)
  call('ZREM', B .. 'due', group)
end
local function fresh(video)
  local till = call('HGET', B .. 't:' .. video, 'fresh')
  return till and tonumber(till)
end
"""

DRAINING = """
local function look_total(video, group)
  local till = fresh(video)
  if till and till > now then
    call('ZADD', B .. 'due', till, group)
    return
  end
  call('ZREM', B .. 'due', group)
  if till then
    call('DEL', B .. 't:' .. video)
    ended(video)
  end
end
local lost = 0
-- Whose lives ended, of ours; only a sweep asks.
local departed, keeps = {}, false
local function look(group)
  local video, source = parted(group)
  if source == '=' then return look_total(video, group) end
  local key, most = B .. 'v:' .. group, 5000
  local over, gone = call('ZCOUNT', key, '-inf', now), 0
  if keeps and over > 0 and source == '' then
    for _, viewer in ipairs(call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, most)) do
      departed[#departed + 1] = video
      departed[#departed + 1] = viewer
    end
  end
  if over > most then
    gone = call('ZREMRANGEBYRANK', key, 0, most - 1)
  elseif over > 0 then
    gone = call('ZREMRANGEBYSCORE', key, '-inf', now)
  end
  if gone > 0 then
    call('DECRBY', B .. 'n', gone)
    ended(video)
  end
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[2] then
    call('ZADD', B .. 'due', first[2], group)
  else
    if gone == 0 then lost = 1 end
    closed(video, source, group)
  end
end
local function drain(most)
  local groups = call('ZRANGEBYSCORE', B .. 'due', '-inf', now, 'LIMIT', 0, most)
  for _, group in ipairs(groups) do
    look(group)
    if #departed >= 10000 then return most end
  end
  return #groups
end
"""


DROPPING_PEERS = """
local function drop_peers(video)
  for _, source in ipairs(call('SMEMBERS', B .. 's:' .. video)) do
    if source ~= '' then
      local group = video .. ':' .. source
      call('DECRBY', B .. 'n', call('ZCARD', B .. 'v:' .. group))
      call('UNLINK', B .. 'v:' .. group)
      closed(video, source, group)
    end
  end
end
"""


def script(name: str, body: str, *parts: str) -> Script:
    """``body`` after what the scripts of live state share, and ``parts``."""
    return redis_script(name, body, _SHARED, *parts)
