-- Before the control plane is asked where a host is: notes when it was asked. While it does not answer for a host,
-- requests to that host go out at once, and it is asked again once a second.

local PAUSE, HOSTS_MAX = 1000, 1000
local silent_until, hosts = {}, 0

function envoy_on_request(handle)
  local host, now = handle:headers():get(":authority") or "", handle:timestamp()
  local metadata = handle:streamInfo():dynamicMetadata()
  if (silent_until[host] or 0) > now then
    metadata:set("detour", "out", true)
    handle:clearRouteCache()
  else
    metadata:set("detour", "host", host)
    metadata:set("detour", "asked", now)
  end
end

function envoy_on_response(handle)
  local noted = handle:streamInfo():dynamicMetadata():get("detour") or {}
  if not (noted.asked and noted.out) then return end
  if not silent_until[noted.host] then hosts = hosts + 1 end
  if hosts > HOSTS_MAX then silent_until, hosts = {}, 1 end
  silent_until[noted.host] = handle:timestamp() + PAUSE
end
