-- Takes every override out of a request's baggage, and leaves what is others'. OpenTelemetry's SDKs decode the keys that
-- they read and skip white space before them, so a key that would become an override on the next hop counts as one.

local DECODING_ROUNDS = 3

local function byte_of(hex)
  return string.char(tonumber(hex, 16))
end

local function is_override(member)
  local key = string.match(member, "^[^;=]*")
  for _ = 1, DECODING_ROUNDS do key = string.gsub(key, "%%(%x%x)", byte_of) end
  local start = string.find(key, "[%w._-]")
  return start ~= nil and string.sub(key, start, start + 8) == "override."
end

-- Says whether there was one.
local function strip(headers)
  local kept, found = {}, false
  for member in string.gmatch(headers:get("baggage") or "", "[^,]+") do
    if is_override(member) then found = true else kept[#kept + 1] = member end
  end
  headers:remove("baggage")
  if #kept > 0 then headers:add("baggage", table.concat(kept, ",")) end
  return found
end

function envoy_on_request(handle)
  strip(handle:headers())
end
