-- Envoy's cluster specifier for a CONNECT with overrides; follows override.lua. If an override is for the host, the
-- cluster's name says so, because it only takes effect if Envoy reads the content of the tunnel.
function envoy_on_route(handle)
  local headers = handle:headers()
  local authority = headers:get(":authority") or ""
  local found = overrides(headers, service_of(authority))
  local has_any = found.route or found.delay or found.abort or found.key
  return "connect@" .. authority .. (has_any and ",overrides" or "")
end
