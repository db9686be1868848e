-- At an edge, behind naming.lua: puts a request into the scenario that its cookie names. Every request of somebody who
-- is in a scenario by a link comes this way, so there is nothing else here.
function envoy_on_request(handle)
  local headers = handle:headers()
  enter(headers, cookie(headers:get("cookie") or ""))
end
