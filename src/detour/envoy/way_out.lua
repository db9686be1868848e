-- After the control plane has been asked where a host is: a request that got no answer in time goes where it would go
-- without Detour. In a sidecar that finds hosts by DNS (DETOUR_RESOLVER) only if DNS knows the name; else it waits on.

-- Of the time that the control plane is given; timers of Envoy may be early by a few milliseconds.
local IN_TIME = 0.9
local RESOLVING_MAX = 2000

local function is_resolved(handle, host)
  local question = { [":method"] = "GET", [":path"] = "/", [":authority"] = host }
  return handle:httpCall(DETOUR_RESOLVER, question, "", RESOLVING_MAX)[":status"] == "204"
end

local function is_silent(handle, noted)
  return noted.asked and handle:timestamp() - noted.asked >= DETOUR_PATIENCE * IN_TIME
end

function envoy_on_request(handle)
  local noted = handle:streamInfo():dynamicMetadata():get("detour") or {}
  if not is_silent(handle, noted) then return end
  if DETOUR_RESOLVER and not is_resolved(handle, noted.host) then return end
  -- Asked for anew: an object does not outlast a call.
  handle:streamInfo():dynamicMetadata():set("detour", "out", true)
  handle:clearRouteCache()
end
