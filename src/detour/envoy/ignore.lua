-- While overrides are switched off, behind strip.lua and carries.lua: takes them out of a request, for the SDKs of all
-- services behind it to ignore them too, and has the response say so.
function envoy_on_request(handle)
  local headers = handle:headers()
  if not carries_overrides(headers) then return end
  strip(headers)
  handle:streamInfo():dynamicMetadata():set("detour", "removed", DETOUR_IGNORED)
end
