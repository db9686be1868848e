-- Envoy's cluster specifier for CONNECT: the tunnel ends here, and overrides are for the requests that come through it.
function envoy_on_route(handle)
  return "connect@" .. (handle:headers():get(":authority") or "")
end
