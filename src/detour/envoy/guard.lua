-- At an edge; follows strip.lua. Removes the overrides of a request without a valid token. The response says so, and
-- why: the sender must not take the baseline for the deployment that the overrides chose.

-- The token filter's results. The namespace is its own; clients cannot write to it.
local CHECKED = "envoy.filters.http.jwt_authn"

local function guard(handle)
  local metadata, headers = handle:streamInfo():dynamicMetadata(), handle:headers()
  local checked = metadata:get(CHECKED) or {}
  if checked["verified"] or not strip(headers) then return end
  local why = checked["refused"] and checked["refused"]["message"]
    or headers:get("x-detour-token") and "this edge has no keys yet"
    or "no x-detour-token"
  metadata:set("detour", "removed", "removed (" .. why .. ")")
end

function envoy_on_request(handle)
  guard(handle)
end
