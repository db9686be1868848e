-- Runs before a host's cluster is requested from the control plane. If the control plane has not answered for a host,
-- requests to that host do not wait, and the cluster is requested again once a second.

local PAUSE, HOSTS_MAX = 1000, 1000
local silent_until, hosts = {}, 0

local function note_silence(host, now)
  if not silent_until[host] then hosts = hosts + 1 end
  if hosts > HOSTS_MAX then silent_until, hosts = {}, 1 end
  silent_until[host] = now + PAUSE
end

function envoy_on_request(handle)
  local host, now = handle:headers():get(":authority") or "", handle:timestamp()
  local metadata = handle:streamInfo():dynamicMetadata()
  if (silent_until[host] or 0) > now then
    metadata:set("detour", "out", true)
    handle:clearRouteCache()
  else
    metadata:set("detour", "host", host)
    metadata:set("detour", "asked", tonumber(handle:timestampString(EnvoyTimestampResolution.MICROSECOND)))
  end
end

-- Only the listener of requests without an answer sets this header.
function envoy_on_response(handle)
  if not handle:headers():get("x-detour-no-answer") then return end
  handle:headers():remove("x-detour-no-answer")
  local noted = handle:streamInfo():dynamicMetadata():get("detour") or {}
  if noted.host then note_silence(noted.host, handle:timestamp()) end
end
