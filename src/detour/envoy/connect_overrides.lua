-- Envoy's cluster specifier for a CONNECT that carries overrides, behind override.lua: the cluster's name says so where
-- one is for the host, for it counts only where somebody reads what goes through the tunnel.
function envoy_on_route(handle)
  local headers = handle:headers()
  local authority = headers:get(":authority") or ""
  local found = overrides(headers, service_of(authority))
  local has_any = found.route or found.delay or found.abort or found.key
  return "connect@" .. authority .. (has_any and ",overrides" or "")
end
