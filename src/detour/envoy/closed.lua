-- In a sidecar that has not reached the control plane, behind strip.lua (and opentracing.lua): finds out whether a
-- request that looks like it carries overrides does. Only one that does takes the route on which it is refused.

local ANY_KEY = setmetatable({}, { __index = function() return function() return true end end })

local function carries_overrides(headers)
  for member in string.gmatch(headers:get("baggage") or "", "[^,]+") do
    if is_override(member) then return true end
  end
  local found = {}
  detour_read_opentracing(headers:get("x-ot-span-context"), 64, ANY_KEY, found)
  return next(found) ~= nil
end

function envoy_on_request(handle)
  if carries_overrides(handle:headers()) then return end
  handle:streamInfo():dynamicMetadata():set("detour", "plain", true)
  handle:clearRouteCache()
end
