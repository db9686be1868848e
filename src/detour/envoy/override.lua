-- Reads the overrides of one request: which deployment of a service it is to reach, and which faults it is to meet.
-- Total and bounded: no input makes it fail, and it looks at each byte of a header a fixed number of times.

local HEADER_MAX = 8192
local ENTRIES_MAX = 64
local NAME_MAX = 63
local DELAY_MAX = 60000
local GRPC_CODE_MAX = 16
local FAULT_HEADERS = {
  "x-envoy-fault-delay-request", "x-envoy-fault-delay-request-percentage",
  "x-envoy-fault-abort-request", "x-envoy-fault-abort-request-percentage", "x-envoy-fault-abort-grpc-request",
  "x-envoy-fault-throughput-response", "x-envoy-fault-throughput-response-percentage",
}

-- Each reader returns what a value stands for, or nil if it can't be read.

local function name(text)
  if #text <= NAME_MAX and string.find(text, "^%w[%w._-]*$") then return text end
end

local function delay(text)
  local number, unit = string.match(text, "^(%d%d?%d?%d?%d?)(m?s)$")
  local milliseconds = number and tonumber(number) * (unit == "s" and 1000 or 1)
  if milliseconds and milliseconds <= DELAY_MAX then return milliseconds end
end

local function status(text)
  local code = string.find(text, "^%d%d?%d?$") and tonumber(text)
  if code and (code <= GRPC_CODE_MAX or code >= 200 and code <= 599) then return code end
end

local function baseline(text)
  if text == "baseline" then return text end
end

local function trimmed(text)
  local start = string.find(text, "[^ \t]")
  return start and string.match(text, ".*[^ \t]", start) or ""
end

-- Calls `take(key, value)` for each entry of a W3C baggage header that is an override's, until it says false.
local function baggage_entries(header, take)
  if not header or #header > HEADER_MAX then return end
  for member in string.gmatch(header, "[^,]+") do
    local pair = string.match(member, "^[^;]*")
    local equals = string.find(pair, "=", 1, true)
    local key = equals and trimmed(string.sub(pair, 1, equals - 1))
    if key and string.sub(key, 1, 9) == "override." then
      if not take(string.sub(key, 10), trimmed(string.sub(pair, equals + 1))) then return end
    end
  end
end

-- Returns a function that takes the entries of one header, and keeps the last readable one of each key.
local function taker(readers, found)
  local count = 0
  return function(key, value)
    count = count + 1
    local read = readers[key] and readers[key](value)
    if read then found[key] = read end
    return count < ENTRIES_MAX
  end
end

-- Returns what a request says of one service: a route, a delay, an abort, and what to do if a deployment is missing.
local function overrides(headers, service)
  local route, delayed, aborted = "route." .. service, "delay." .. service, "abort." .. service
  local readers, found = { [route] = name, [delayed] = delay, [aborted] = status, missing = baseline }, {}
  if name(service) then
    -- opentracing.lua is loaded where the mesh honours that header; what the baggage says wins, key by key.
    if detour_opentracing_entries then
      detour_opentracing_entries(headers:get("x-ot-span-context"), taker(readers, found))
    end
    baggage_entries(headers:get("baggage"), taker(readers, found))
  end
  return found[route], found.missing, found[delayed], found[aborted]
end

-- The control plane sets DETOUR_SERVICE at an edge; in a sidecar a request's authority names its service.
local function service_of(headers)
  return DETOUR_SERVICE or string.match(string.lower(headers:get(":authority") or ""), "^[^:]*")
end

-- Envoy's cluster specifier: returns the name of the cluster that the request goes to.
function envoy_on_route(handle)
  local headers = handle:headers()
  local authority = headers:get(":authority") or ""
  if headers:get(":method") == "CONNECT" then return "connect@" .. authority end
  local deployment, missing = overrides(headers, service_of(headers))
  local base = DETOUR_SERVICE or authority
  if not deployment then return base end
  return base .. "@" .. deployment .. (missing and "," .. missing or "")
end

-- Envoy's Lua filter: hands the request's faults to the fault filter behind it, and none that a client thought of.
function envoy_on_request(handle)
  local headers = handle:headers()
  for _, header in ipairs(FAULT_HEADERS) do headers:remove(header) end
  local _, _, milliseconds, code = overrides(headers, service_of(headers))
  if milliseconds then headers:replace("x-envoy-fault-delay-request", string.format("%d", milliseconds)) end
  if code and code > GRPC_CODE_MAX then
    headers:replace("x-envoy-fault-abort-request", string.format("%d", code))
  elseif code and string.sub(headers:get("content-type") or "", 1, 16) == "application/grpc" then
    headers:replace("x-envoy-fault-abort-grpc-request", string.format("%d", code))
  end
end
