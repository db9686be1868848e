-- At an edge, behind strip.lua: adds the overrides of the scenario that the route is for to a request's baggage. What a
-- client thought of is taken out first, unless the route says that this edge trusts it.
function envoy_on_request(handle)
  local context = handle:filterContext()
  if not context:get("trusts") then strip(handle:headers()) end
  local headers = handle:headers()
  local there, added = headers:get("baggage"), context:get("baggage")
  headers:remove("baggage")
  headers:add("baggage", there and there ~= "" and there .. "," .. added or added)
end
