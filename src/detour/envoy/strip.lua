-- Takes every override out of a request's baggage, however its key is written; leaves what is others'.

local function decoded(key)
  for _ = 1, 3 do
    key = string.gsub(key, "%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  end
  key = string.gsub(key, "%+", " ")
  return string.match(key, "^[^%w._-]*(.*)$")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local baggage = headers:get("baggage")
  if not baggage then return end
  local kept = {}
  for member in string.gmatch(baggage, "[^,]+") do
    if string.sub(decoded(string.match(member, "^[^=;]*")), 1, 9) ~= "override." then kept[#kept + 1] = member end
  end
  if #kept == 0 then headers:remove("baggage") else headers:replace("baggage", table.concat(kept, ",")) end
end
