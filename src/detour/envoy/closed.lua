-- In a sidecar that has not reached the control plane, behind carries.lua: of the requests that look like it, only
-- those that do carry overrides take the route on which they are refused.
function envoy_on_request(handle)
  if carries_overrides(handle:headers()) then return end
  handle:streamInfo():dynamicMetadata():set("detour", "plain", true)
  handle:clearRouteCache()
end
