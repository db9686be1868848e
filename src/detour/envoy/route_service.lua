-- At an edge; precedes override.lua. The route supplies the service behind it, so that one script serves all routes.
function detour_service(handle)
  return handle:filterContext():get("service")
end
