-- Members of the W3C baggage header: which are overrides, and the text that they encode. Precedes strip.lua and
-- override.lua. Propagators percent-encode keys and values again, some of them more than once.

local DECODING_ROUNDS = 3

local function byte_of(hex)
  return string.char(tonumber(hex, 16))
end

local function decoded(text)
  for _ = 1, DECODING_ROUNDS do
    if not string.find(text, "%", 1, true) then return text end
    text = string.gsub(text, "%%(%x%x)", byte_of)
  end
  return text
end

-- Returns a text without the characters outside a set at its start and end. A loop, because a pattern takes quadratic
-- time.
local function cut(text, set)
  local start, finish, anchored = string.find(text, set), #text, "^" .. set
  if not start then return "" end
  while not string.find(text, anchored, finish) do finish = finish - 1 end
  return string.sub(text, start, finish)
end

local function bare(text)
  return cut(text, "[%w._-]")
end

-- Returns the key of an override's member, and the undecoded text after its "=" if there is one; nil for members that
-- are not overrides. Ignores characters around a key, because another reader may do so, too.
local function override_of(member)
  local raw, rest = string.match(member, "^([^;=]*)=?([^;]*)")
  if not string.find(raw, "override.", 1, true) and not string.find(raw, "%", 1, true) then return nil end
  local key = bare(decoded(raw))
  if string.sub(key, 1, 9) ~= "override." then return nil end
  return key, string.byte(member, #raw + 1) == 61 and rest or nil
end
