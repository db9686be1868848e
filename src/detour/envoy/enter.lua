-- At an edge: has a request name the scenario to which its query, its cookie or its origin leads, in the header by which
-- programs name one. A person who opens a link with ?detour=NAME is sent on to the same address without it, and stays
-- in the scenario by a cookie.

local HEADER = "x-detour-scenario"

-- No scenario can be called so: who names one that can't exist is told, and never gets the baseline in silence.
local NO_NAME = "-"

local function name(text)
  return #text <= 63 and string.match(text, "^[a-z0-9][a-z0-9-]*$") or NO_NAME
end

-- Returns a path without its entries of that key, and the value of the first; nil if it has none.
local function without_query(path)
  local start = string.find(path, "?", 1, true)
  if not start then return path end
  local kept, found = {}, nil
  for entry in string.gmatch(string.sub(path, start + 1), "[^&]+") do
    local value = string.match(entry, "^detour=(.*)$")
    if value then found = found or value else kept[#kept + 1] = entry end
  end
  local query = #kept > 0 and "?" .. table.concat(kept, "&") or ""
  return string.sub(path, 1, start - 1) .. query, found
end

-- Returns the value of the first cookie of that name that has one. Several lines come joined by ";" or ",", which no
-- cookie's value holds.
local function cookie(text)
  for entry in string.gmatch(text, "[^;,]+") do
    local value = string.match(entry, "^%s*detour=(.+)$")
    if value then return value end
  end
end

local function without_cookie(text)
  return string.sub(string.gsub(";" .. text, "([;,]%s*)detour=[^;,]*", "%1"), 2)
end

-- Returns the scenario that a host is a preview of, and the domain with its port.
local function preview(authority, domains)
  local scenario, domain, port = string.match(authority, "^([a-z0-9-]+)%.([a-z0-9.-]-)%.?(:?%d*)$")
  for known in string.gmatch(domains, "%S+") do
    if domain == known then return scenario, domain .. port end
  end
end

-- A page on a preview host calls other hosts without a cookie, and a preflight carries no header but its origin.
local function origin(text, domains)
  return (preview(string.match(text, "^https?://(.+)$") or "", domains))
end

local function send_on(handle, headers, path, value, domains)
  -- Two slashes in front would lead to another host.
  local location = string.gsub(path, "^[/\\]+", "/")
  local answer = { [":status"] = "302", ["location"] = location, ["cache-control"] = "no-store" }
  local _, domain = preview(string.lower(headers:get(":authority") or ""), domains)
  if domain then
    -- A preview host says by itself which scenario it is: another one has another host.
    answer["location"] = "//" .. (value == "" and "" or name(value) .. ".") .. domain .. location
  else
    local kept = value == "" and "detour=; Max-Age=0" or "detour=" .. name(value)
    local is_secure = headers:get("x-forwarded-proto") == "https"
    answer["set-cookie"] = kept .. "; Path=/; HttpOnly; SameSite=Lax" .. (is_secure and "; Secure" or "")
  end
  handle:respond(answer, "")
end

-- The route brings the domains below which scenarios have hosts, with spaces between them.
function envoy_on_request(handle)
  local headers, domains = handle:headers(), handle:filterContext():get("previews")
  local path, value = without_query(headers:get(":path") or "/")
  local method = headers:get(":method")
  if value and (method == "GET" or method == "HEAD") then return send_on(handle, headers, path, value, domains) end
  local cookies = headers:get("cookie") or ""
  if value == "" then return headers:replace("cookie", without_cookie(cookies)) end
  local found = value or cookie(cookies) or origin(headers:get("origin") or "", domains)
  if found then headers:replace(HEADER, name(found)) end
end
