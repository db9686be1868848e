-- Reads the overrides of one request: which deployment of a service it is to reach, and which faults it is to meet.
-- Total and bounded: no input makes it fail, and it looks at each byte of a header a fixed number of times.

local HEADER_MAX = 8192
local ENTRIES_MAX = 64
local NAME_MAX = 63
local DELAY_MAX = 60000
local GRPC_CODE_MAX = 16
local SPACE, TAB, COMMA = 32, 9, 44
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
  local milliseconds = tonumber(string.match(text, "^(%d%d?%d?%d?%d?)ms$"))
  if not milliseconds then
    local seconds = string.match(text, "^(%d%d?)s$") or string.match(text, "^(%d%d?%.%d+)s$")
    milliseconds = seconds and tonumber(seconds) * 1000
  end
  if milliseconds and milliseconds <= DELAY_MAX then return math.floor(milliseconds + 0.5) end
end

local function status(text)
  local code = string.find(text, "^%d%d?%d?$") and tonumber(text)
  if code and (code <= GRPC_CODE_MAX or code >= 200 and code <= 599) then return code end
end

local function baseline(text)
  if text == "baseline" then return text end
end

-- Says whether a member of the list begins at `start`, but for white space.
local function is_member(header, start)
  local before = start - 1
  local byte = string.byte(header, before)
  while byte == SPACE or byte == TAB do
    before = before - 1
    byte = string.byte(header, before)
  end
  return before == 0 or byte == COMMA
end

-- Puts what a W3C baggage header says into `found`, for the keys in `readers`; the last readable of one key wins.
-- Other people's members are passed over by a plain search.
local function read_baggage(header, readers, found)
  if not header or #header > HEADER_MAX then return end
  local count = 0
  local start, finish = string.find(header, "override.", 1, true)
  while start do
    if is_member(header, start) then
      count = count + 1
      if count > ENTRIES_MAX then return end
      local pattern = "^([%w._-]*)[ \t]*=[ \t]*([%w._-]*)[ \t]*([^,;]?)"
      local key, value, rest = string.match(header, pattern, finish + 1)
      local read = rest == "" and readers[key]
      if read then found[key] = read(value) or found[key] end
    end
    start, finish = string.find(header, "override.", finish + 1, true)
  end
end

-- Returns what a request says, by the keys in `readers`; where both headers say something, the baggage counts.
local function overrides(headers, readers)
  local found = {}
  -- The mesh honours that header where opentracing.lua is loaded before this.
  if detour_read_opentracing then
    detour_read_opentracing(headers:get("x-ot-span-context"), ENTRIES_MAX, readers, found)
  end
  read_baggage(headers:get("baggage"), readers, found)
  return found
end

local function without(text, ending)
  return string.sub(text, -#ending) == ending and string.sub(text, 1, -#ending - 1) or text
end

-- Says which service a host name means to callers in DETOUR_CALLER; the control plane sets these names where services
-- live in namespaces, and follows the same rules itself (`Naming` in detour.mesh).
local function canonical(host)
  if not DETOUR_HOME then return host end
  local short = without(without(without(host, "."), ".svc." .. DETOUR_DOMAIN), ".svc")
  local service, namespace = string.match(short, "^([^.]*)%.?(.*)$")
  if namespace == "" then namespace = DETOUR_CALLER end
  if string.find(namespace, ".", 1, true) then return host end
  return namespace == DETOUR_HOME and service or service .. "." .. namespace
end

-- The control plane sets DETOUR_SERVICE at an edge; in a sidecar a request's authority names its service. Returns
-- "" for a host that can be no service: no override has a key without a name.
local function service_of(authority)
  return DETOUR_SERVICE or name(canonical(string.match(string.lower(authority), "^[^:]*"))) or ""
end

-- Envoy's cluster specifier: returns the name of the cluster that the request goes to.
function envoy_on_route(handle)
  local headers = handle:headers()
  local authority = headers:get(":authority") or ""
  local route = "route." .. service_of(authority)
  local found = overrides(headers, { [route] = name, missing = baseline })
  local base, deployment = DETOUR_SERVICE or authority, found[route]
  if not deployment or route == "route." then return base end
  return base .. "@" .. deployment .. (found.missing and ",baseline" or "")
end

-- Envoy's Lua filter: hands the request's faults to the fault filter behind it, and none that a client thought of.
function envoy_on_request(handle)
  local headers = handle:headers()
  for _, header in ipairs(FAULT_HEADERS) do headers:remove(header) end
  -- An edge loads route_service.lua before this.
  local service = detour_service and detour_service(handle) or service_of(headers:get(":authority") or "")
  if service == "" then return end
  local delayed, aborted = "delay." .. service, "abort." .. service
  local found = overrides(headers, { [delayed] = delay, [aborted] = status })
  local code = found[aborted]
  if found[delayed] then headers:replace("x-envoy-fault-delay-request", string.format("%d", found[delayed])) end
  if code and code > GRPC_CODE_MAX then
    headers:replace("x-envoy-fault-abort-request", string.format("%d", code))
  elseif code and string.sub(headers:get("content-type") or "", 1, 16) == "application/grpc" then
    headers:replace("x-envoy-fault-abort-grpc-request", string.format("%d", code))
  end
end
