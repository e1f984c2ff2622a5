"""What Redis does in one step for a gate: each script is a decision, made with Redis' own clock.

Times are microseconds, whole numbers that a double holds. A caller has a token of its own, so that every script may be
run again, as after an answer that was lost: what is held, is held once, and only its own token gives it back.

A caller that is not let through is in a queue, in the order in which callers came. Whoever has not asked again for a
while is taken out, so that a killed one stops nobody for longer.
"""

from __future__ import annotations

_CLOCK = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""

_QUEUE = """
local function join(queue, seen, token, patience)
  redis.call('ZADD', queue, 'NX', now, token)
  redis.call('ZADD', seen, now + patience, token)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now)) do
    redis.call('ZREM', queue, gone)
    redis.call('ZREM', seen, gone)
  end
  redis.call('PEXPIRE', queue, patience / 1000 + 1000)
  redis.call('PEXPIRE', seen, patience / 1000 + 1000)
  return redis.call('ZRANK', queue, token)
end
local function leave(queue, seen, token)
  redis.call('ZREM', queue, token)
  redis.call('ZREM', seen, token)
end
local function keep(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds then redis.call('PEXPIRE', key, math.ceil(milliseconds)) end
end
"""

ENTER_WRITE = (
    _CLOCK
    + _QUEUE
    + """
local held, queue, seen, note = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, limit, lease, patience = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local noted = redis.call('EXISTS', note)
if noted == 0 then limit = 1 end
local own, ahead = redis.call('ZSCORE', held, token), 0
local before = own or join(queue, seen, token, patience)
redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
if not own then ahead = before - (limit - redis.call('ZCARD', held)) + 1 end
if ahead > 0 then return {ahead, noted} end
leave(queue, seen, token)
redis.call('ZADD', held, now + lease, token)
keep(held, lease / 1000 + 1000)
return {0, noted}
"""
)
"""Returns how many must leave before the caller may write, and whether there was a first write."""

LEAVE_WRITE = """
local held, queue, seen, note = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
redis.call('ZREM', held, ARGV[1])
redis.call('ZREM', queue, ARGV[1])
redis.call('ZREM', seen, ARGV[1])
if ARGV[2] == '1' then redis.call('SET', note, 1, 'PX', ARGV[3]) end
return 0
"""

RENEW_WRITES = (
    _CLOCK
    + """
local lease = tonumber(ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + lease, ARGV[i]) end
local milliseconds = math.ceil(lease / 1000 + 1000)
if redis.call('PTTL', KEYS[1]) < milliseconds then redis.call('PEXPIRE', KEYS[1], milliseconds) end
return 0
"""
)
"""Renews leases that have not ended; what Redis has lost is not made again, since its holder may have left."""

TAKE_TOKEN = (
    _CLOCK
    + _QUEUE
    + """
local log, queue, seen, pause, longest = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, capacity, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local patience, waits = tonumber(ARGV[4]), ARGV[5] == '1'
for _, early in ipairs(redis.call('ZRANGEBYSCORE', log, '(' .. string.format('%.0f', now), '+inf')) do
  redis.call('ZADD', log, now, early)
end
local kept = math.max(window, tonumber(redis.call('GET', longest) or '0'))
redis.call('SET', longest, string.format('%.0f', kept), 'PX', string.format('%.0f', kept / 1000 + 1000))
redis.call('ZREMRANGEBYSCORE', log, '-inf', now - kept)
if redis.call('ZSCORE', log, token) then return 0 end
local wait = 0
if waits then
  local ahead = join(queue, seen, token, patience)
  local oldest = redis.call('ZCOUNT', log, '-inf', now - window)
  local taken = redis.call('ZCARD', log) - oldest
  local missing = taken + ahead + 1 - capacity
  if missing > taken then
    wait = window
  elseif missing > 0 then
    local at = oldest + missing - 1
    wait = tonumber(redis.call('ZRANGE', log, at, at, 'WITHSCORES')[2]) + window - now
  end
  wait = math.max(wait, tonumber(redis.call('GET', pause) or '0') - now)
end
if wait > 0 then return string.format('%.0f', wait) end
leave(queue, seen, token)
redis.call('ZADD', log, now, token)
keep(log, kept / 1000 + 1000)
return 0
"""
)
"""Returns the microseconds after which there may be a token for the caller, or 0 if it was taken."""

LEAVE_QUEUE = """
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 0
"""

PAUSE = (
    _CLOCK
    + """
local ends = math.max(now + tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0'))
redis.call('SET', KEYS[1], string.format('%.0f', ends), 'PX', string.format('%.0f', (ends - now) / 1000 + 1000))
return 0
"""
)
"""Lets nobody through for a while."""
