-- For a request without an answer of the control plane: lets it go where DNS says, if DNS knows its host. Else it waits
-- on.

local RESOLVING_MAX = 1000
-- A tunnel's cluster that is known is found in less than so many microseconds.
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
  -- In either case: meanwhile the host's cluster may have come. Envoy never answers several requests that ask for a
  -- cluster which it has already, except the first.
  handle:clearRouteCache()
end
