-- At an edge, behind strip.lua: takes the overrides out of a request that has brought no good token, and has the
-- response say so, and why: who sent them is not to take the baseline for the deployment that they asked for.

-- What the token filter has found out; the name is its own, and no client writes there.
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
