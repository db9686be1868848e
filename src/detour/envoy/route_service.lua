-- At an edge, before override.lua: the route says which service is behind it, so that one script serves all routes.
function detour_service(handle)
  return handle:filterContext():get("service")
end
