-- Replaces override.lua for requests with plain baggage, as the route has checked: everything in it can be read,
-- nothing is quoted, encoded or padded, and it is short. No parsing is needed. Follows service.lua.

-- With the comma, because other keys may end in these words. A comma is added before the first member, too.
local ROUTE = ",override.route."
local FALLS_BACK = ",override.missing=baseline"

-- A mesh has few services, but clients may invent any number of hosts of any length.
local HOSTS_MAX = 1000
local HOST_MAX = 255
local keys, hosts = {}, 0

-- Returns the start of members that choose a deployment of a host's service.
local function key_of(host)
  local key = keys[host]
  if key then return key end
  key = ROUTE .. service_of(host) .. "="
  if #host > HOST_MAX then return key end
  if hosts == HOSTS_MAX then keys, hosts = {}, 0 end
  keys[host], hosts = key, hosts + 1
  return key
end

-- Envoy's cluster specifier: returns the name of the cluster that the request goes to, as override.lua does.
function envoy_on_route(handle)
  local headers = handle:headers()
  local authority, members = headers:get(":authority") or "", "," .. (headers:get("baggage") or "")
  local key = key_of(authority)
  local deployment, _, finish = nil, string.find(members, key, 1, true)
  -- The last one wins.
  while finish do
    deployment = string.match(members, "^[^,]*", finish + 1)
    _, finish = string.find(members, key, finish + 1, true)
  end
  if not deployment then return authority end
  return authority .. "@" .. deployment .. (string.find(members, FALLS_BACK, 1, true) and ",baseline" or "")
end
