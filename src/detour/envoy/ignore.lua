-- While overrides are switched off; follows strip.lua and carries.lua. Removes overrides from a request, so that the
-- SDKs of all services behind it ignore them, too, and reports that in the response.

local LETTERS = {}
for letter, sixtet in pairs(SIXTETS) do LETTERS[sixtet] = string.char(letter) end

local function to_base64(bytes)
  return (string.gsub(bytes, "..?.?", function(group)
    local first, second, third = string.byte(group, 1, 3)
    local number, text = first * 65536 + (second or 0) * 256 + (third or 0), ""
    for digit = 3, 3 - #group, -1 do text = text .. LETTERS[math.floor(number / 64 ^ digit) % 64] end
    return text .. string.rep("=", 3 - #group)
  end))
end

-- Renames the item with the overrides, keeping its length: the rest of the tracer's header stays as it is.
local function strip_opentracing(headers)
  local header = headers:get("x-ot-span-context")
  local carrier = header and base64(header)
  local renamed, count = string.gsub(carrier or "", ITEM, "\10\9-ignored-")
  if count > 0 then headers:replace("x-ot-span-context", to_base64(renamed)) end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if not carries_overrides(headers) then return end
  strip(headers)
  strip_opentracing(headers)
  handle:streamInfo():dynamicMetadata():set("detour", "removed", DETOUR_IGNORED)
end
