-- Reads the overrides of one request: the deployment of a service to route to, and the faults to inject. An
-- unreadable override for this service is refused with a 400 that says why; others are refused by the sidecars that
-- they are for. Total and bounded: no input causes an error, and each byte of a header is read a fixed number of
-- times.

local HEADER_MAX = 8192
local ENTRIES_MAX = 64
local SHOWN_MAX = 80
local DELAY_MAX = 60000
local GRPC_CODE_MAX = 16
local GRPC_INVALID_ARGUMENT = "3"
local FAULT_HEADERS = {
  "x-envoy-fault-delay-request", "x-envoy-fault-delay-request-percentage",
  "x-envoy-fault-abort-request", "x-envoy-fault-abort-request-percentage", "x-envoy-fault-abort-grpc-request",
  "x-envoy-fault-throughput-response", "x-envoy-fault-throughput-response-percentage",
}

-- Each reader returns the value that a text encodes, or nil if it is not valid.

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

local SLOTS = { "route", "delay", "abort", "missing", "missing.", "key" }
local READERS = { route = name, delay = delay, abort = status, missing = baseline }
-- Services read these.
local OTHERS = { config = true, log = true, db = true }
local EXPECTED = {
  route = "expected a deployment's name, as in override.route.users=pr-42: letters, digits, dot, dash and underscore, "
    .. "at most 63, no quotes",
  delay = "expected a delay such as 300ms or 1.5s, at most 60s",
  abort = "expected an HTTP status from 200 to 599 or a gRPC code from 0 to 16",
  missing = "expected override.missing=baseline",
  key = "expected a key such as override.route.SERVICE: the kinds are route, delay, abort, config, log, db and missing",
}
EXPECTED["missing."] = EXPECTED.missing

-- Returns the slot of `found` that an override with this key belongs to; nil if it is not for this service.
local function slot_of(key, service)
  local kind, dot, subject = string.match(key, "^override%.([^.]*)(%.?)(.*)$")
  if OTHERS[kind] or service == "" then return nil end
  if kind == "missing" then return dot == "" and "missing" or "missing." end
  if READERS[kind] and subject == service then return kind end
  -- Almost: an unknown kind, no kind at all (override.users=pr-42), or a name in quotes.
  return (bare(subject) == service or string.sub(key, 10) == service) and "key" or nil
end

-- Stores one override in `found`; of several of one kind the last wins.
local function take(found, slot, key, text, number)
  local value, why = text and READERS[slot] and READERS[slot](text), nil
  if number > ENTRIES_MAX then
    value, why = nil, "it is override number " .. number .. " of the request, but only " .. ENTRIES_MAX .. " are read"
  elseif not text then
    why = "expected = and a value"
  elseif not value then
    why = EXPECTED[slot]
  end
  found[slot] = { value = value, why = why, what = text and key .. "=" .. text or key }
end

local function read_baggage(header, service, found)
  if not header then return end
  local number = 0
  for member in string.gmatch(header, "[^,]+") do
    local key, raw = override_of(member)
    if key then
      number = number + 1
      local slot = slot_of(key, service)
      if slot then take(found, slot, key, raw and decoded(cut(raw, "[^ \t]")), number) end
    end
  end
  if number > 0 and #header > HEADER_MAX then
    local found_bytes = "the baggage has " .. #header .. " bytes and contains overrides"
    found.whole = found_bytes .. ", but only " .. HEADER_MAX .. " bytes are read"
  end
end

-- Returns a request's overrides for a service, by slot. If both headers have one, the baggage wins.
local function overrides(headers, service)
  local found = {}
  -- The mesh accepts that header if opentracing.lua is loaded before this.
  if detour_read_opentracing then
    local entries, why = detour_read_opentracing(headers:get("x-ot-span-context"), HEADER_MAX)
    found.whole = why
    for number, entry in ipairs(entries) do
      local key = "override." .. entry[1]
      local slot = slot_of(key, service)
      if slot then take(found, slot, key, entry[2], number) end
    end
  end
  read_baggage(headers:get("baggage"), service, found)
  return found
end

-- Returns the first problem with the overrides that matters; nil if there is none.
local function unreadable(found)
  if found.whole then return found.whole end
  for _, slot in ipairs(SLOTS) do
    local one = found[slot]
    local is_needed = found.route or string.sub(slot, 1, 7) ~= "missing"
    if one and one.why and is_needed then
      -- The text goes into a header.
      local shown = string.gsub(string.sub(one.what, 1, SHOWN_MAX), "[^\32-\126]", "?")
      return shown .. ": " .. one.why
    end
  end
end

local function value_of(found, slot)
  return found[slot] and found[slot].value
end

-- Envoy's cluster specifier: returns the name of the request's cluster.
function envoy_on_route(handle)
  local headers = handle:headers()
  local authority = headers:get(":authority") or ""
  local found = overrides(headers, service_of(authority))
  local base, deployment = DETOUR_SERVICE or authority, value_of(found, "route")
  if not deployment or unreadable(found) then return base end
  return base .. "@" .. deployment .. (value_of(found, "missing") and ",baseline" or "")
end

local function is_grpc(headers)
  return string.sub(headers:get("content-type") or "", 1, 16) == "application/grpc"
end

local function refuse(handle, headers, why)
  local answer = { [":status"] = "400", ["x-detour-overrides"] = "unreadable: " .. why }
  if is_grpc(headers) then answer["grpc-status"] = GRPC_INVALID_ARGUMENT end
  handle:respond(answer, "Detour: an override of this request can't be read: " .. why .. ". Correct it, or leave it out.\n")
end

-- Envoy's Lua filter: passes the request's faults to the fault filter behind it, and removes those that a client set.
function envoy_on_request(handle)
  local headers = handle:headers()
  for _, header in ipairs(FAULT_HEADERS) do headers:remove(header) end
  -- An edge loads route_service.lua before this.
  local service = detour_service and detour_service(handle) or service_of(headers:get(":authority") or "")
  local found = overrides(headers, service)
  local why = unreadable(found)
  if why then return refuse(handle, headers, why) end
  local held, code = value_of(found, "delay"), value_of(found, "abort")
  if held then headers:replace("x-envoy-fault-delay-request", string.format("%d", held)) end
  if code and code > GRPC_CODE_MAX then
    headers:replace("x-envoy-fault-abort-request", string.format("%d", code))
  elseif code and is_grpc(headers) then
    headers:replace("x-envoy-fault-abort-grpc-request", string.format("%d", code))
  end
end
