-- Runs after a host's cluster was requested from the control plane: the request selects its route again.
function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set("detour", "out", true)
  handle:clearRouteCache()
end
