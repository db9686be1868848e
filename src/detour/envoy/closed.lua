-- In a sidecar that has not reached the control plane, behind member.lua and opentracing.lua: finds out whether a
-- request that looks like it carries overrides does. Only one that does takes the route on which it is refused.

local BYTES_MAX = 65536

local function carries_overrides(headers)
  for member in string.gmatch(headers:get("baggage") or "", "[^,]+") do
    if override_of(member) then return true end
  end
  local entries, wrong = detour_read_opentracing(headers:get("x-ot-span-context"), BYTES_MAX)
  return #entries > 0 or wrong ~= nil
end

function envoy_on_request(handle)
  if carries_overrides(handle:headers()) then return end
  handle:streamInfo():dynamicMetadata():set("detour", "plain", true)
  handle:clearRouteCache()
end
