-- For a request whose host's cluster did not arrive: forwards it if DNS resolves the host. Otherwise the request
-- continues to wait.

local RESOLVING_MAX = 1000

local function is_resolved(handle, host)
  local question = { [":method"] = "GET", [":path"] = "/", [":authority"] = host }
  return handle:httpCall(DETOUR_RESOLVER, question, "", RESOLVING_MAX)[":status"] == "204"
end

function envoy_on_request(handle)
  if (handle:streamInfo():dynamicMetadata():get("detour") or {}).answered then return end
  if is_resolved(handle, handle:headers():get(":authority") or "") then
    handle:streamInfo():dynamicMetadata():set("detour", "out", true)
  end
  -- In both cases, because the host's cluster may have arrived meanwhile. If several requests wait for a cluster that
  -- Envoy already holds, Envoy only answers the first of them.
  handle:clearRouteCache()
end
