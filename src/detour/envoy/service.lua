-- Before override.lua and plain.lua: which service a request is for.

local NAME_MAX = 63

-- Returns a text if it can name a service or a deployment, else nil.
local function name(text)
  if #text <= NAME_MAX and string.find(text, "^%w[%w._-]*$") then return text end
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
