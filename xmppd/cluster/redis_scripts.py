"""The scripts that Redis runs for nodes: each is one step, whoever else is at work meanwhile.

What they refuse begins with a word: ``FENCED``, ``ALIVE``, ``UNKNOWN``, ``NOLEASE``.
"""

from xmppd.cluster.script import Script

# -- nodes ----------------------------------------------------------------------------------------
#
# Keys, in this order: the epoch, a random text that lasts until Redis is empty; a hash of records
# by name, "generation number instance record"; the version, which rises with every change, and is
# also the channel on which that is published; a hash of the last generation by name; a sorted set
# of ids by when their lease ends, in milliseconds; a hash of the ids that are gone, "by when".

_NODES = """
local EPOCH, NODES, VERSION, GENERATIONS, LEASES, FENCED = unpack(KEYS)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function holds(id)
  local ends = redis.call('ZSCORE', LEASES, id)
  return ends and tonumber(ends) > now
end
local function generation_of(name)
  return tonumber(string.match(redis.call('HGET', NODES, name) or '', '^%d+'))
end
local function fence(id, by)
  local fate = by .. ' ' .. string.format('%.0f', now)
  if redis.call('HSETNX', FENCED, id, fate) == 0 then return 0 end
  local name, generation = string.match(id, '^(.*)%.(%d+)$')
  redis.call('ZREM', LEASES, id)
  if generation_of(name) == tonumber(generation) then redis.call('HDEL', NODES, name) end
  return 1
end
local function check(id)
  local name, generation = string.match(id, '^(.*)%.(%d+)$')
  local noted = generation_of(name)
  if redis.call('HEXISTS', FENCED, id) == 1 or (noted and noted > tonumber(generation)) then
    return redis.error_reply('FENCED this generation is')
  end
  if noted ~= tonumber(generation) then return redis.error_reply('UNKNOWN this node is') end
end
local function changed()
  redis.call('PUBLISH', VERSION, '')
  return redis.call('INCR', VERSION)
end
local function late() return redis.call('ZRANGEBYSCORE', LEASES, '-inf', now) end
"""

JOIN = Script(
    _NODES
    + """
local name, wish, again, lease_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4]
local fresh_epoch, instance, record, FORGET_MS = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
if redis.call('SETNX', EPOCH, fresh_epoch) == 1 then redis.call('DEL', NODES, LEASES) end
local gone = redis.call('HGETALL', FENCED)
for i = 1, #gone, 2 do
  local since = tonumber(string.match(gone[i + 1], '%d+$'))
  if now - since > tonumber(FORGET_MS) then redis.call('HDEL', FENCED, gone[i]) end
end
for i = 9, #ARGV do fence(ARGV[i], name .. '.' .. wish) end
local before = redis.call('HGET', NODES, name)
local was = generation_of(name)
if again then
  if redis.call('HEXISTS', FENCED, name .. '.' .. wish) == 1 or (was and was > wish) then
    return redis.error_reply('FENCED this generation is')
  end
elseif before then
  if string.match(before, '^%d+ %d+ (%S*) ') ~= instance and holds(name .. '.' .. was) then
    return redis.error_reply('ALIVE a node of this name is')
  end
end
if was and not (again and was == wish) then fence(name .. '.' .. was, 'itself') end
local last = math.max(tonumber(redis.call('HGET', GENERATIONS, name) or 0), wish)
local generation = again and wish or last + 1
redis.call('HSET', GENERATIONS, name, math.max(last, generation))
local taken = {}
local all = redis.call('HGETALL', NODES)
for i = 1, #all, 2 do
  if all[i] ~= name then taken[tonumber(string.match(all[i + 1], '^%d+ (%d+) '))] = true end
end
local number = 0
while taken[number] do number = number + 1 end
redis.call('HSET', NODES, name, generation .. ' ' .. number .. ' ' .. instance .. ' ' .. record)
redis.call('ZADD', LEASES, now + lease_ms, name .. '.' .. generation)
return {generation, redis.call('GET', EPOCH), changed(), late()}
"""
)
"""Write a node, its generation and its lease.

ARGV: name, the generation it has or last had, 1 if it keeps that, lease in ms, a new epoch,
instance, record, after how many ms it may be forgotten that one is gone, others that are gone.
Returns its generation, epoch, version and who is late.
"""

RENEW = Script(
    _NODES
    + """
local refused = check(ARGV[1])
if refused then return refused end
redis.call('ZADD', LEASES, now + ARGV[2], ARGV[1])
return {redis.call('GET', EPOCH) or '', tonumber(redis.call('GET', VERSION) or 0), late()}
"""
)
"""Renew a lease. ARGV: id, lease in ms. Returns epoch, version and who is late."""

FENCE = Script(
    _NODES
    + """
local target, by, epoch = ARGV[1], ARGV[2], ARGV[3]
if redis.call('GET', EPOCH) ~= epoch or not holds(by) or holds(target) then return 0 end
if fence(target, by) == 0 then return 0 end
changed()
return 1
"""
)
"""Declare a generation dead if its lease has run out. ARGV: its id, who does it, epoch. Returns
whether it was this call that did it.
"""

LEAVE = Script(_NODES + "fence(ARGV[1], 'left') return changed()")
"""Take a node out. ARGV: its id."""

DESCRIBE = Script(
    _NODES
    + """
local refused = check(ARGV[1])
if refused then return refused end
local name = string.match(ARGV[1], '^(.*)%.%d+$')
local kept = string.match(redis.call('HGET', NODES, name), '^%d+ %d+ ')
redis.call('HSET', NODES, name, kept .. ARGV[2] .. ' ' .. ARGV[3])
return changed()
"""
)
"""Write another record. ARGV: id, instance, record."""

READ = Script(
    """
local gone = #ARGV > 0 and redis.call('HMGET', KEYS[6], unpack(ARGV)) or {}
return {redis.call('HVALS', KEYS[2]), gone}
"""
)
"""Read the records, and what became of some ids. ARGV: these ids."""

# -- things that live once ------------------------------------------------------------------------
#
# Keys: those of nodes, then the claim of a thing, "node.generation.token", and the last token that
# a thing of its kind got.

_LIVING = (
    _NODES
    + """
local function living(claim)
  local id = claim and string.match(claim, '^(.*)%.%d+$')
  local name, generation = string.match(id or '', '^(.*)%.(%d+)$')
  if not name or redis.call('HEXISTS', FENCED, id) == 1 then return false end
  return generation_of(name) == tonumber(generation)
end
"""
)

_CLAIMS = (
    _LIVING
    + """
local CLAIM, TOKEN = KEYS[7], KEYS[8]
local function next_token(above)
  local token = math.max(tonumber(redis.call('GET', TOKEN) or 0), tonumber(above)) + 1
  token = string.format('%.0f', token)
  redis.call('SET', TOKEN, token)
  return token
end
local function token_of(claim) return tonumber(string.match(claim or '', '%d+$') or 0) end
"""
)

LOOK = Script(
    _CLAIMS
    + """
local held = redis.call('GET', CLAIM)
return living(held) and held
"""
)
"""Who has a thing. Returns the claim, or nothing."""

OWN = Script(
    _CLAIMS
    + """
local id, above = ARGV[1], ARGV[2]
local held = redis.call('GET', CLAIM)
if living(held) then return held end
if not holds(id) then return redis.error_reply('NOLEASE this node has') end
local mine = id .. '.' .. next_token(math.max(tonumber(above), token_of(held)))
redis.call('SET', CLAIM, mine)
return mine
"""
)
"""Have a thing that nobody has. ARGV: id, a token that the new one is above. Returns the claim that
there is now.
"""

OWN_AGAIN = Script(
    _CLAIMS
    + """
local held, mine = redis.call('GET', CLAIM), ARGV[1]
if held ~= mine then
  if token_of(held) >= token_of(mine) then return held end
  redis.call('SET', CLAIM, mine)
end
if tonumber(redis.call('GET', TOKEN) or 0) < token_of(mine) then
  redis.call('SET', TOKEN, string.format('%.0f', token_of(mine)))
end
return mine
"""
)
"""Say again what a node has. ARGV: its claim. Returns the claim that there is now."""

HAND_OVER = Script(
    _CLAIMS
    + """
local claim, to = ARGV[1], ARGV[2]
if redis.call('GET', CLAIM) ~= claim then return '0' end
if to == '' then
  redis.call('DEL', CLAIM)
  return '0'
end
local token = next_token(token_of(claim))
redis.call('SET', CLAIM, to .. '.' .. token)
return token
"""
)
"""Have another node get a thing. ARGV: the claim of who has it, id of the other one or nothing.
Returns its token; 0 if nobody has it from here.
"""

VOID = Script(
    _LIVING
    + """
local cursor, count, prefix, remove = unpack(ARGV)
local page = redis.call('SCAN', cursor, 'COUNT', count)
local found = 0
for _, key in ipairs(page[2]) do
  if string.sub(key, 1, #prefix) == prefix and not living(redis.call('GET', key)) then
    found = found + 1
    if remove == '1' then redis.call('DEL', key) end
  end
end
return {page[1], found}
"""
)
"""A page of the claims of nodes that are not in. ARGV: where to go on, how many keys, what those of
claims begin with, 1 if they are taken out. Returns where to go on, and the number of these claims.
"""

# -- sessions -------------------------------------------------------------------------------------
#
# Keys, in this order, where they are needed: a hash of the places of an account's sessions by
# resource, "node.generation.serial"; a key that is there while nobody may enter it; a hash of the
# ids that are gone. A place that the caller knows to be void is given as resource and place.

_SESSIONS = """
local ACCOUNT = KEYS[1]
local function refuse_fenced(key, id)
  if redis.call('HEXISTS', key, id) == 1 then
    return redis.error_reply('FENCED this generation is')
  end
end
local function forget_void(first)
  for i = first, #ARGV, 2 do
    if redis.call('HGET', ACCOUNT, ARGV[i]) == ARGV[i + 1] then
      redis.call('HDEL', ACCOUNT, ARGV[i])
    end
  end
end
local function serial_of(place) return tonumber(string.match(place, '%d+$') or 0) end
local function next_serial(above)
  local t = redis.call('TIME')
  local serial = math.max(t[1] * 1000000 + t[2], tonumber(above) + 1)
  for _, place in ipairs(redis.call('HVALS', ACCOUNT)) do
    serial = math.max(serial, serial_of(place) + 1)
  end
  return string.format('%.0f', serial)
end
"""

BIND = Script(
    _SESSIONS
    + """
local resource, id, conflict, most, above = unpack(ARGV, 1, 5)
local refused = refuse_fenced(KEYS[3], id)
if refused then return refused end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'closed'} end
forget_void(6)
local held = redis.call('HEXISTS', ACCOUNT, resource) == 1
local all = redis.call('HGETALL', ACCOUNT)
if held and conflict ~= 'kick' then return {'taken', '', all} end
if not held and #all / 2 >= tonumber(most) then return {'full', '', all} end
local serial = next_serial(above)
redis.call('HSET', ACCOUNT, resource, id .. '.' .. serial)
return {'bound', serial, all}
"""
)
"""Enter a session. ARGV: resource, id, what becomes of another one, the most there may be, a serial
that the new one is above, void places. Returns what was done, the serial, and who was there.
"""

RELEASE = Script(
    """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""
)
"""Take out a session, if it is this one. ARGV: resource, place."""

MOVE = Script(
    _SESSIONS
    + """
local resource, old, new, id = unpack(ARGV)
local refused = refuse_fenced(KEYS[2], id)
if refused then return refused end
local held = redis.call('HGET', ACCOUNT, resource)
if held == old then redis.call('HSET', ACCOUNT, resource, new) end
return (held == old or held == new) and 1 or 0
"""
)
"""Have a session be elsewhere, if it is this one. ARGV: resource, old place, new place, id. Returns
whether it is, also if it was already.
"""

REASSERT = Script(
    _SESSIONS
    + """
local resource, id, serial, rebuild, above = unpack(ARGV, 1, 5)
local refused = refuse_fenced(KEYS[2], id)
if refused then return refused end
forget_void(6)
local held = redis.call('HGET', ACCOUNT, resource)
local place = id .. '.' .. serial
if held == place then return {serial, false} end
if held and serial_of(held) > tonumber(serial) then return {false, held} end
if rebuild ~= '1' then serial = next_serial(above) end
redis.call('HSET', ACCOUNT, resource, id .. '.' .. serial)
return {serial, held}
"""
)
"""Enter a session again, if no later one has its place. ARGV: resource, id, serial, 1 if it keeps
that, a serial that a new one is above, void places. Returns its serial, or nothing, and whose place
it is or was.
"""

ROUTES = Script(
    """
local found = {}
for i, key in ipairs(KEYS) do
  local places = redis.call('HVALS', key)
  if places[1] then found[#found + 1] = i - 1; found[#found + 1] = places end
end
return found
"""
)
"""The places of many accounts, each of which has a key. Returns, for each that has any, its index
and these.
"""

CLOSE = Script(
    """
redis.call('SET', KEYS[2], '', 'EX', ARGV[1])
return redis.call('HGETALL', KEYS[1])
"""
)
"""Let nobody enter an account. ARGV: for how many seconds. Returns who is there."""

SWEEP = Script(
    """
local cursor, count, prefix, id = unpack(ARGV)
local page = redis.call('SCAN', cursor, 'COUNT', count)
local found = {}
for _, key in ipairs(page[2]) do
  if string.sub(key, 1, #prefix) == prefix then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      if string.match(all[i + 1], '^(.*)%.%d+$') == id then
        for _, word in ipairs({string.sub(key, #prefix + 1), all[i], all[i + 1]}) do
          found[#found + 1] = word
        end
      end
    end
  end
end
return {page[1], found}
"""
)
"""A page of the accounts that have sessions at a node. ARGV: where to go on, how many keys, what
those of accounts begin with, id. Returns where to go on, and account, resource and place of each.
"""

COUNT = Script(
    """
local count = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return count
"""
)
"""Count one more. ARGV: how long the count is kept from now on, in milliseconds. Returns it."""

STRANGERS = Script(
    """
local cursor, count, prefix = unpack(ARGV)
local known = {}
for i = 4, #ARGV do known[ARGV[i]] = true end
local page = redis.call('SCAN', cursor, 'COUNT', count)
local found = {}
for _, key in ipairs(page[2]) do
  if string.sub(key, 1, #prefix) == prefix then
    for _, place in ipairs(redis.call('HVALS', key)) do
      if not known[string.match(place, '^(.*)%.%d+$') or ''] then found[#found + 1] = place end
    end
  end
end
return {page[1], found}
"""
)
"""A page of the places at unknown nodes. ARGV: where to go on, how many keys, what those of
accounts begin with, the ids of known nodes. Returns where to go on, and these places.
"""
