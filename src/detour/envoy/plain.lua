-- In the place of override.lua, behind service.lua, for requests whose baggage the route has found to be plain: all of
-- it can be read, nothing is quoted, encoded or padded, and it is short. So there is nothing to take apart.

-- With the comma: other people's keys may end in these words. A comma is put before the first member, too.
local ROUTE = ",override.route."
local FALLS_BACK = ",override.missing=baseline"

-- Envoy's cluster specifier: returns the name of the cluster that the request goes to, as override.lua does.
function envoy_on_route(handle)
  local headers = handle:headers()
  local authority, members = headers:get(":authority") or "", "," .. (headers:get("baggage") or "")
  local key = ROUTE .. service_of(authority) .. "="
  local deployment, _, finish = nil, string.find(members, key, 1, true)
  -- The last counts.
  while finish do
    deployment = string.match(members, "^[^,]*", finish + 1)
    _, finish = string.find(members, key, finish + 1, true)
  end
  if not deployment then return authority end
  return authority .. "@" .. deployment .. (string.find(members, FALLS_BACK, 1, true) and ",baseline" or "")
end
