-- In a sidecar that has not reached the control plane; follows carries.lua. The route's pattern also matches requests
-- without overrides; those select their route again, and only requests with overrides are refused.
function envoy_on_request(handle)
  if carries_overrides(handle:headers()) then return end
  handle:streamInfo():dynamicMetadata():set("detour", "plain", true)
  handle:clearRouteCache()
end
