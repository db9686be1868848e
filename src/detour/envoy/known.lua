-- Envoy's cluster specifier for hosts that the route table does not name: the host's cluster if this Envoy holds it,
-- otherwise the cluster DETOUR_ELSE. An Envoy without the latter requests the host's cluster from the control plane.
function envoy_on_route(handle)
  local authority = handle:headers():get(":authority") or ""
  local name = DETOUR_PREFIX .. authority
  if handle:getCluster(name) or not handle:getCluster(DETOUR_ELSE) then return name end
  return DETOUR_ELSE
end
