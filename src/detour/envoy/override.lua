-- Reads the overrides of one request: which deployment of a service it is to reach, and which faults it is to meet.
-- Total and bounded: no input makes it fail, and it looks at each byte of a header a fixed number of times.

local HEADER_MAX = 8192
local ENTRIES_MAX = 64

local function trimmed(text)
  return string.match(text, "^[ \t]*(.-)[ \t]*$")
end

-- Returns the value of each override of a W3C baggage header by key, the last readable one of each.
local function entries(baggage)
  local found, count = {}, 0
  if not baggage or #baggage > HEADER_MAX then return found end
  for member in string.gmatch(baggage, "[^,]+") do
    local pair = string.match(member, "^[^;]*")
    local equals = string.find(pair, "=", 1, true)
    local key = trimmed(string.sub(pair, 1, (equals or 0) - 1))
    if equals and string.sub(key, 1, 9) == "override." then
      count = count + 1
      if count > ENTRIES_MAX then return found end
      local value = trimmed(string.sub(pair, equals + 1))
      if #value <= 63 and string.find(value, "^%w[%w._-]*$") then found[string.sub(key, 10)] = value end
    end
  end
  return found
end

local function service_of(headers)
  return DETOUR_SERVICE or string.match(string.lower(headers:get(":authority") or ""), "^([^:]*)")
end

local function overrides(headers)
  return entries(headers:get("baggage"))
end

function envoy_on_route(handle)
  local headers = handle:headers()
  local authority = headers:get(":authority") or ""
  if headers:get(":method") == "CONNECT" then return "connect@" .. authority end
  local found = overrides(headers)
  local name = found["route." .. service_of(headers)]
  local base = DETOUR_SERVICE or authority
  if not name then return base end
  return base .. "@" .. name .. (found.missing == "baseline" and ",baseline" or "")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  for _, name in ipairs({ "delay-request", "delay-request-percentage", "abort-request", "abort-request-percentage",
    "abort-grpc-request", "throughput-response", "throughput-response-percentage" }) do
    headers:remove("x-envoy-fault-" .. name)
  end
  local found, service = overrides(headers), service_of(headers)
  local number, unit = string.match(found["delay." .. service] or "", "^(%d+)(m?s)$")
  local ms = number and tonumber(number) * (unit == "s" and 1000 or 1)
  if ms and ms <= 60000 then headers:replace("x-envoy-fault-delay-request", string.format("%d", ms)) end
  local status = tonumber(string.match(found["abort." .. service] or "", "^%d%d?%d?$"))
  if status and status >= 200 and status <= 599 then
    headers:replace("x-envoy-fault-abort-request", tostring(status))
  elseif status and status <= 16 and string.sub(headers:get("content-type") or "", 1, 16) == "application/grpc" then
    headers:replace("x-envoy-fault-abort-grpc-request", tostring(status))
  end
end
