-- Reads the overrides of an `x-ot-span-context` header, for meshes that still trace with OpenTracing: base64 of protobuf
-- whose baggage item `overrides` is base64 of protobuf again. Bounded by the header's length, and total: whatever is
-- not of that form has no overrides.

local HEADER_MAX = 8192
local VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

local SIXTETS = {}
do
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  for index = 1, 64 do SIXTETS[string.byte(alphabet, index)] = index - 1 end
end

-- Returns the bytes that standard base64 stands for, padded or not; nil if it is none.
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

-- Returns an unsigned integer of at most `most` bytes and where the next field begins; nil if it does not end.
local function varint(message, at, most)
  local value, unit = 0, 1
  for index = at, math.min(at + most - 1, #message) do
    local byte = string.byte(message, index)
    value, unit = value + (byte % 128) * unit, unit * 128
    if byte < 128 then return value, index + 1 end
  end
end

-- Returns where a field's content begins and where the next field does; nil if it is not all there.
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

-- Calls `take(number, content)` for each length-delimited field; false if the message is none.
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

-- Calls `take(key, value)` for each entry of the map<string, string> in a field; false if the message is none.
local function map(message, number, take)
  return fields(message, function(field, content)
    if field ~= number then return end
    local entry = {}
    if not fields(content, function(part, text) entry[part] = text end) then return false end
    take(entry[1] or "", entry[2] or "")
  end)
end

-- Puts what the header's first `most` entries say into `found`, for the keys in `readers`, the last readable one of each;
-- nothing at all if the header is not of this form.
function detour_read_opentracing(header, most, readers, found)
  if not header or #header > HEADER_MAX then return end
  local carrier, context, item = base64(header), "", nil
  if not carrier then return end
  if not fields(carrier, function(number, content) if number == 2 then context = content end end) then return end
  if not map(context, 4, function(key, value) if key == "overrides" then item = value end end) then return end
  local message, entries = item and base64(item), {}
  if not message then return end
  if not map(message, 1, function(key, value) entries[#entries + 1] = { key, value } end) then return end
  for index = 1, math.min(most, #entries) do
    local key, value = entries[index][1], entries[index][2]
    local read = readers[key]
    if read then found[key] = read(value) or found[key] end
  end
end
