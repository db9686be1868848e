-- Envoy's cluster specifier for CONNECT: the tunnel ends here. Overrides apply to the requests inside the tunnel.
function envoy_on_route(handle)
  return "connect@" .. (handle:headers():get(":authority") or "")
end
