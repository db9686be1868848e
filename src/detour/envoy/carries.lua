-- Follows member.lua and opentracing.lua: returns whether a request carries overrides, readable or not.

local CARRIER_MAX = 65536

local function carries_overrides(headers)
  for member in string.gmatch(headers:get("baggage") or "", "[^,]+") do
    if override_of(member) then return true end
  end
  local entries, wrong = detour_read_opentracing(headers:get("x-ot-span-context"), CARRIER_MAX)
  return #entries > 0 or wrong ~= nil
end
