-- Reads the overrides of an `x-ot-span-context` header, for meshes that still trace with OpenTracing: base64 of
-- protobuf, whose baggage item `overrides` is base64 of protobuf again. Bounded by the header's length, and total: a
-- header of another form has no overrides, unless it shows that it contains some.

local VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

local SIXTETS = {}
do
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  for index = 1, 64 do SIXTETS[string.byte(alphabet, index)] = index - 1 end
end

-- Returns the bytes of standard base64, padded or not; nil if the text is not base64.
local function base64(text)
  text = string.match(text, "^([^=]*)=*$")
  if not text or #text % 4 == 1 then return nil end
  local bytes, buffer, bits = {}, 0, 0
  for index = 1, #text do
    local sixtet = SIXTETS[string.byte(text, index)]
    if not sixtet then return nil end
    buffer, bits = buffer * 64 + sixtet, bits + 6
    if bits >= 8 then
      bits = bits - 8
      local unit = 2 ^ bits
      bytes[#bytes + 1] = string.char(math.floor(buffer / unit))
      buffer = buffer % unit
    end
  end
  return table.concat(bytes)
end

-- Returns an unsigned integer of at most `most` bytes, and the position of the next field; nil if it is incomplete.
local function varint(message, at, most)
  local value, unit = 0, 1
  for index = at, math.min(at + most - 1, #message) do
    local byte = string.byte(message, index)
    value, unit = value + (byte % 128) * unit, unit * 128
    if byte < 128 then return value, index + 1 end
  end
end

-- Returns the positions of a field's content and of the next field; nil if the field is incomplete.
local function extent(message, at, wire_type)
  local start, finish
  if wire_type == VARINT then
    start, finish = at, select(2, varint(message, at, 10))
  elseif wire_type == FIXED64 then
    start, finish = at, at + 8
  elseif wire_type == FIXED32 then
    start, finish = at, at + 4
  elseif wire_type == LENGTH then
    local length
    length, start = varint(message, at, 5)
    finish = length and start + length
  end
  if finish and finish <= #message + 1 then return start, finish end
end

-- Calls `take(number, content)` for each length-delimited field; returns false if the message is invalid.
local function fields(message, take)
  local at = 1
  while at <= #message do
    local tag, after = varint(message, at, 5)
    if not tag or tag < 8 then return false end
    local start, following = extent(message, after, tag % 8)
    if not start then return false end
    if tag % 8 == LENGTH and take(math.floor(tag / 8), string.sub(message, start, following - 1)) == false then
      return false
    end
    at = following
  end
  return true
end

-- Calls `take(key, value)` for each entry of the map<string, string> in a field; false if the message is invalid.
local function map(message, number, take)
  return fields(message, function(field, content)
    if field ~= number then return end
    local entry = {}
    if not fields(content, function(part, text) entry[part] = text end) then return false end
    take(entry[1] or "", entry[2] or "")
  end)
end

-- What precedes the item's value in a carrier: its key, as protobuf writes it.
local ITEM = "\10\9overrides"

-- Returns a carrier's item with overrides; nil if it has none; false if the carrier is invalid.
local function item_of(carrier)
  local context, item = "", nil
  if not fields(carrier, function(number, content) if number == 2 then context = content end end) then return false end
  if not map(context, 4, function(key, value) if key == "overrides" then item = value end end) then return false end
  return item
end

-- Returns the header's entries in order, each a key without "override." and a value; and the problem if they, or
-- further ones, cannot be read.
function detour_read_opentracing(header, bytes_max)
  local carrier, entries = header and base64(header), {}
  if not carrier then return entries end
  local item = item_of(carrier)
  if item == nil or item == "" then return entries end
  if not item and not string.find(carrier, ITEM, 1, true) then return entries end
  local message = item and base64(item)
  if not message or not map(message, 1, function(key, value) entries[#entries + 1] = { key, value } end) then
    return {}, "x-ot-span-context contains overrides in a form that cannot be read"
  end
  if #header > bytes_max then
    return entries, "x-ot-span-context has " .. #header .. " bytes, but only " .. bytes_max .. " are read"
  end
  return entries
end
