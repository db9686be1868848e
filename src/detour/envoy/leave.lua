-- On the way out of the mesh; follows strip.lua. Removes the overrides of a request and records that it had some: the
-- access log reports such requests, and their response says so.

local NOTED_MAX = 2000

function envoy_on_request(handle)
  local headers = handle:headers()
  local before = headers:get("baggage")
  if not strip(headers) then return end
  local metadata, host = handle:streamInfo():dynamicMetadata(), headers:get(":authority") or ""
  metadata:set("detour", "left", string.sub(before, 1, NOTED_MAX))
  metadata:set("detour", "removed", "removed: " .. host .. " is outside the mesh")
end
