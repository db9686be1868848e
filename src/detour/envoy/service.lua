-- Finds the service that a request is for. Precedes override.lua and plain.lua.

local NAME_MAX = 63

-- Returns a text if it is a valid name of a service or a deployment, else nil.
local function name(text)
  if #text <= NAME_MAX and string.find(text, "^%w[%w._-]*$") then return text end
end

local function without(text, ending)
  return string.sub(text, -#ending) == ending and string.sub(text, 1, -#ending - 1) or text
end

-- Returns the service that a host name means to callers in DETOUR_CALLER. If services live in namespaces, the control
-- plane sets these variables; it follows the same rules itself (`Naming` in detour.mesh).
local function canonical(host)
  if not DETOUR_HOME then return host end
  local short = without(without(without(host, "."), ".svc." .. DETOUR_DOMAIN), ".svc")
  local service, namespace = string.match(short, "^([^.]*)%.?(.*)$")
  if namespace == "" then namespace = DETOUR_CALLER end
  if string.find(namespace, ".", 1, true) then return host end
  return namespace == DETOUR_HOME and service or service .. "." .. namespace
end

-- The control plane sets DETOUR_SERVICE at an edge; in a sidecar a request's authority names its service. Returns ""
-- for a host that cannot be a service: no override has a key with an empty name.
local function service_of(authority)
  return DETOUR_SERVICE or name(canonical(string.match(string.lower(authority), "^[^:]*"))) or ""
end
