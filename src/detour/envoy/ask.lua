-- Requests a host's cluster from the control plane, and waits DETOUR_PATIENCE ms for it. If the control plane has not
-- answered for a host, requests to that host do not wait, and the cluster is requested again once a second.
--
-- The question is a request of its own, to a listener whose on-demand filter waits as long as all others do. Envoy has
-- one timer for all requests that wait for a cluster, that of the first: with a shorter timeout here, requests that
-- need the answer would fail as soon as this one gives up.

local PAUSE, HOSTS_MAX = 1000, 1000
local silent_until, hosts = {}, 0

local function note_silence(host, now)
  if not silent_until[host] then hosts = hosts + 1 end
  if hosts > HOSTS_MAX then silent_until, hosts = {}, 1 end
  silent_until[host] = now + PAUSE
end

local function ask(handle, host)
  local question = { [":method"] = "GET", [":path"] = "/", [":authority"] = host }
  if handle:headers():get(":method") == "CONNECT" then question[DETOUR_TUNNEL_HEADER] = "1" end
  return handle:httpCall(DETOUR_ASKING, question, "", DETOUR_PATIENCE)[":status"] == "204"
end

-- Looks the metadata up each time, because Envoy's objects become invalid while a script waits.
local function note(handle, key, value)
  handle:streamInfo():dynamicMetadata():set("detour", key, value)
end

function envoy_on_request(handle)
  local host = handle:headers():get(":authority") or ""
  if (silent_until[host] or 0) > handle:timestamp() then
    note(handle, "out", true)
  else
    note(handle, "host", host)
    -- Older sidecars have no such cluster: there the request waits in the on-demand filter that follows.
    local can_ask, has_answer = pcall(ask, handle, host)
    note(handle, "answered", has_answer or not can_ask)
  end
  -- In both cases, because the host's cluster may have arrived meanwhile.
  handle:clearRouteCache()
end

-- Only the listener of requests without an answer sets this header.
function envoy_on_response(handle)
  if not handle:headers():get("x-detour-no-answer") then return end
  handle:headers():remove("x-detour-no-answer")
  local noted = handle:streamInfo():dynamicMetadata():get("detour") or {}
  if noted.host then note_silence(noted.host, handle:timestamp()) end
end
