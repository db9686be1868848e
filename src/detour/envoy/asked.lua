-- After the control plane has been asked for a host: the request takes its route anew, which depends on the answer.
function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set("detour", "out", true)
  handle:clearRouteCache()
end
