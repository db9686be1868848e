-- For a request whose host's cluster did not arrive: forwards it if DNS resolves the host. Otherwise the request
-- continues to wait.

local RESOLVING_MAX = 1000
-- The lookup of a tunnel's known cluster takes fewer microseconds than this.
local AT_ONCE = 1000

local function is_resolved(handle, host)
  local question = { [":method"] = "GET", [":path"] = "/", [":authority"] = host }
  return handle:httpCall(DETOUR_RESOLVER, question, "", RESOLVING_MAX)[":status"] == "204"
end

local function is_known(handle)
  local noted = handle:streamInfo():dynamicMetadata():get("detour") or {}
  return noted.asked and tonumber(handle:timestampString(EnvoyTimestampResolution.MICROSECOND)) - noted.asked < AT_ONCE
end

function envoy_on_request(handle)
  if is_known(handle) then return end
  if is_resolved(handle, handle:headers():get(":authority") or "") then
    handle:streamInfo():dynamicMetadata():set("detour", "out", true)
  end
  -- In both cases, because the host's cluster may have arrived meanwhile. If several requests wait for a cluster that
  -- Envoy already holds, Envoy only answers the first of them.
  handle:clearRouteCache()
end
