-- Removes all overrides from a request's baggage, readable or not, and leaves other entries. Follows member.lua.

-- Returns whether there was one.
local function strip(headers)
  local kept, found = {}, false
  for member in string.gmatch(headers:get("baggage") or "", "[^,]+") do
    if override_of(member) then found = true else kept[#kept + 1] = member end
  end
  headers:remove("baggage")
  if #kept > 0 then headers:add("baggage", table.concat(kept, ",")) end
  return found
end

function envoy_on_request(handle)
  strip(handle:headers())
end
