-- Envoy's cluster specifier for hosts that the route table does not name: the host's cluster where this Envoy has it,
-- else the cluster DETOUR_ELSE. An Envoy without that one asks the control plane by the host's name.
function envoy_on_route(handle)
  local authority = handle:headers():get(":authority") or ""
  local name = DETOUR_PREFIX .. authority
  if handle:getCluster(name) or not handle:getCluster(DETOUR_ELSE) then return name end
  return DETOUR_ELSE
end
