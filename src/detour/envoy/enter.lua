-- At an edge: finds the scenario that a request's query, cookie or originating page names, and sets the header that
-- names it.
--
-- A link (?detour=NAME) leads into its scenario whatever the client does with cookies. A browser that opens a page is
-- redirected to the same address with a cookie, and with a mark after the name. If it comes back without the cookie,
-- it is redirected to the preview host, or sees why that failed. All other clients are in the scenario at once, and
-- so are the addresses that they are redirected to from there.

local HEADER = "x-detour-scenario"

-- Not valid as scenario names: a request for an invalid name gets an error page, never the baseline.
local NO_NAME, NO_COOKIES = "-", "-cookies"
local MARK = "~"

-- Continues by itself, and keeps the fragment as a redirect would.
local BETWEEN = '<!doctype html><meta charset="utf-8"><title>Detour</title><p><a href="%s">Continue</a>'
  .. "<script>location.replace(document.links[0].href + location.hash)</script>"
  .. '<noscript><meta http-equiv="refresh" content="0; url=%s"></noscript>'

local FRAMES = { iframe = 1, frame = 1, embed = 1, object = 1 }

local function is_name(text)
  return #text <= 63 and string.find(text, "^[a-z0-9][a-z0-9-]*$") ~= nil and string.sub(text, -1) ~= "-"
end

local function name(text)
  return is_name(text) and text or NO_NAME
end

local function has_word(words, word)
  return string.find(" " .. words .. " ", " " .. word .. " ", 1, true) ~= nil
end

-- Returns the scenario that a parameter's value names, "" to leave a scenario, nil if the value is the application's
-- own; and whether the value is marked.
local function meaning(value, everyday)
  local text = string.gsub(value, "%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  local marked = string.sub(text, -1) == MARK
  if marked then text = string.sub(text, 1, -2) end
  if text == "" then return not marked and "" or nil end
  if not is_name(text) then return nil end
  -- An application's own parameter may have such a value. DETOUR_COMMON_VALUES is defined before this script.
  local is_usual = has_word(DETOUR_COMMON_VALUES, text) or not string.find(text, "%a")
  if is_usual and not has_word(everyday, text) then return nil end
  return text, marked
end

-- Returns what the first link in a path leads to, if there is one, and the path without its links. The rest of the
-- path does not change.
local function link_in(path, parameter, everyday)
  local start = string.find(path, "?", 1, true)
  if not start then return nil end
  local kept, found = {}, nil
  for entry in string.gmatch(string.sub(path, start + 1) .. "&", "([^&]*)&") do
    local scenario, marked
    if string.sub(entry, 1, #parameter + 1) == parameter .. "=" then
      scenario, marked = meaning(string.sub(entry, #parameter + 2), everyday)
    end
    if scenario then
      found = found or { scenario = scenario, marked = marked or false }
    else
      kept[#kept + 1] = entry
    end
  end
  if not found then return nil end
  local query = #kept > 0 and "?" .. table.concat(kept, "&") or ""
  found.path = string.sub(path, 1, start - 1) .. query
  return found
end

-- Adds a query parameter to an address, before its fragment.
local function with_entry(address, entry)
  local start = string.find(address, "#", 1, true)
  local head = start and string.sub(address, 1, start - 1) or address
  local fragment = start and string.sub(address, start) or ""
  return head .. (string.find(head, "?", 1, true) and "&" or "?") .. entry .. fragment
end

-- Returns the value of the first cookie of that name that has one. Repeated headers arrive joined by ";" or ",",
-- which cookie values cannot contain.
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
  local scenario, domain, port = string.match(string.lower(authority), "^([a-z0-9-]+)%.([a-z0-9.-]-)%.?(:?%d*)$")
  for known in string.gmatch(domains, "%S+") do
    if domain == known then return scenario, domain .. port end
  end
end

-- Returns whether a browser, or a client that looks like one, requests a page to display.
local function is_page(headers)
  local method, mode = headers:get(":method"), headers:get("sec-fetch-mode")
  if method ~= "GET" and method ~= "HEAD" then return false end
  if mode then return mode == "navigate" end
  return string.find(headers:get("accept") or "", "text/html", 1, true) ~= nil
end

-- Returns the scenario of the preview page that a request comes from. Such a page calls other hosts without a cookie.
-- A preflight carries no header except its origin; a script or an image has no origin, or "null", but a referrer.
-- Navigation from there to another page leaves the scenario.
local function page_scenario(headers, domains)
  local origin = headers:get("origin")
  if origin and origin ~= "null" then return (preview(string.match(origin, "^https?://(.+)$") or "", domains)) end
  if is_page(headers) and not FRAMES[headers:get("sec-fetch-dest") or ""] then return nil end
  return (preview(string.match(headers:get("referer") or "", "^https?://([^/?#]+)") or "", domains))
end

local function is_secure(headers)
  return headers:get("x-forwarded-proto") == "https"
end

-- Returns the lines that set or remove the cookie, including variants that it may have been set with earlier.
local function cookie_lines(headers, scenario, domain)
  local host = string.match(headers:get(":authority") or "", "^[^:]*")
  local is_below = domain ~= "" and string.sub("." .. string.lower(host), -#domain - 1) == "." .. domain
  local inside = is_below and "; Domain=" .. domain or ""
  local secure = is_secure(headers) and "; Secure" or ""
  local fixed = "; Path=/; HttpOnly"
  -- In a frame on another site's page, browsers keep only this kind of cookie. Browsers send these headers only to
  -- addresses that they consider secure.
  local is_framed = headers:get("sec-fetch-site") == "cross-site" and FRAMES[headers:get("sec-fetch-dest") or ""]
  local framed = fixed .. "; SameSite=None; Secure; Partitioned"
  if scenario ~= "" then
    return { "detour=" .. scenario .. (is_framed and framed or fixed .. inside .. "; SameSite=Lax" .. secure) }
  end
  local gone = "detour=; Max-Age=0" .. fixed
  local lines = { gone .. "; SameSite=Lax" .. secure }
  if is_below then lines[2] = gone .. inside .. "; SameSite=Lax" .. secure end
  if is_framed then lines[#lines + 1] = "detour=; Max-Age=0" .. framed end
  return lines
end

local function send_on(handle, location, lines)
  local answer = { [":status"] = "302", ["location"] = location, ["cache-control"] = "no-store" }
  if lines then
    answer["set-cookie"], answer["clear-site-data"] = lines, '"cache"'
  end
  handle:respond(answer, "")
end

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local function escaped(text)
  return (string.gsub(text, "[&<>\"']", ENTITIES))
end

-- Sets the cookie of a scenario and clears the browser's cache of other versions. A browser clears what a page's
-- process holds in memory only when that process ends, so there is a page in between that needs another process (COOP
-- and COEP). The route, which is already the scenario's, keeps the response out of caches.
local function give_cookie(handle, headers, location, lines)
  local answer = { [":status"] = "302", ["set-cookie"] = lines, ["clear-site-data"] = '"cache"' }
  if headers:get("sec-fetch-dest") ~= "document" then
    answer["location"] = location
    return handle:respond(answer, "")
  end
  answer[":status"] = "200"
  answer["content-type"] = "text/html; charset=utf-8"
  answer["cross-origin-opener-policy"] = "same-origin"
  answer["cross-origin-embedder-policy"] = "require-corp"
  handle:respond(answer, string.format(BETWEEN, escaped(location), escaped(location)))
end

-- Two leading slashes would lead to another host.
local function local_path(path)
  return (string.gsub(path, "^[/\\]+", "/"))
end

-- A client that prefetches a link has not opened it.
local function is_prefetch(headers)
  local purpose = headers:get("sec-purpose") or headers:get("purpose") or headers:get("x-moz") or ""
  return string.find(purpose, "prefetch", 1, true) ~= nil
end

-- A preview host identifies its scenario by itself; another scenario has another host.
local function from_preview(handle, headers, own, domain, link)
  local method = headers:get(":method")
  if not link or (method ~= "GET" and method ~= "HEAD") then
    -- With this header the request takes the host's own routes.
    return headers:replace(HEADER, own)
  end
  local below = link.scenario == "" and "" or link.scenario .. "."
  send_on(handle, "//" .. below .. domain .. local_path(link.path))
end

local function leave(handle, headers, context, link)
  local method = headers:get(":method")
  if method == "GET" or method == "HEAD" then
    return send_on(handle, local_path(link.path), cookie_lines(headers, "", context:get("cookie_domain")))
  end
  headers:replace(":path", link.path)
  local cookies = headers:get("cookie")
  if cookies then headers:replace("cookie", without_cookie(cookies)) end
end

-- Selects the route of a scenario; returns whether it leads into it. The scenario may have ended, or not exist.
local function is_live(handle, scenario)
  handle:streamInfo():filterState():set("detour.scenario", "envoy.string", scenario)
  handle:clearRouteCache()
  handle:metadata()
  return handle:streamInfo():routeName() ~= "page"
end

-- A browser comes twice: a link without a mark sets the cookie, a link with one requires it.
local function open_page(handle, headers, context, link)
  local path, domain = local_path(link.path), context:get("cookie_domain")
  if cookie(headers:get("cookie") or "") == link.scenario then return send_on(handle, path) end
  if not link.marked then
    local entry = context:get("parameter") .. "=" .. link.scenario .. MARK
    return give_cookie(handle, headers, with_entry(path, entry), cookie_lines(headers, link.scenario, domain))
  end
  local host = context:get("preview")
  if host == "" then return headers:replace(HEADER, NO_COOKIES) end
  local port = string.match(headers:get(":authority") or "", ":%d+$") or ""
  send_on(handle, "//" .. link.scenario .. "." .. host .. port .. path)
end

local function enter(handle, headers, context, link)
  headers:replace(HEADER, link.scenario)
  if is_page(headers) and (link.marked or is_live(handle, link.scenario)) then
    return open_page(handle, headers, context, link)
  end
  local site, lines = headers:get("sec-fetch-site"), nil
  local is_kept = cookie(headers:get("cookie") or "") == link.scenario
  if not is_kept and site ~= "cross-site" and headers:get(":method") ~= "OPTIONS" then
    lines = table.concat(cookie_lines(headers, link.scenario, context:get("cookie_domain")))
  end
  handle:streamInfo():dynamicMetadata():set("detour", "entered", {
    scenario = link.scenario,
    entry = context:get("parameter") .. "=" .. link.scenario,
    host = string.match(string.lower(headers:get(":authority") or ""), "^[^:]*"),
    hosts = context:get("hosts"),
    line = lines,
  })
  headers:replace(":path", link.path)
end

-- The route supplies `parameter` and, separated by spaces: the preview domains (`previews`), the hosts that lead to
-- an edge (`hosts`), and the scenarios whose names are common parameter values (`everyday`).
function envoy_on_request(handle)
  local headers, context = handle:headers(), handle:filterContext()
  local link = link_in(headers:get(":path") or "/", context:get("parameter"), context:get("everyday"))
  local own, domain = preview(headers:get(":authority") or "", context:get("previews"))
  if own then return from_preview(handle, headers, own, domain, link) end
  if link and is_prefetch(headers) then
    local answer = { [":status"] = "503", ["cache-control"] = "no-store", ["content-type"] = "text/plain" }
    return handle:respond(answer, "Detour: a link into a scenario cannot be prefetched; open it instead.\n")
  end
  if link and link.scenario == "" then return leave(handle, headers, context, link) end
  if link then return enter(handle, headers, context, link) end
  local there = cookie(headers:get("cookie") or "")
  -- Other values belong to the application.
  if there and is_name(there) then return headers:replace(HEADER, there) end
  local found = page_scenario(headers, context:get("previews"))
  if not found then return end
  -- A frame requests parts of its own, which do not refer to the page around it.
  if is_page(headers) then
    return enter(handle, headers, context, { scenario = name(found), path = headers:get(":path"), marked = false })
  end
  headers:replace(HEADER, name(found))
end

-- Returns whether an address leads back to an edge.
local function is_edges(location, entered)
  local host = string.match(string.lower(location), "^https?://([^/?#:\\]+)") or string.match(location, "^//([^/?#:\\]+)")
  if not host then return not string.find(location, "^%a[%w+.-]*:") and string.sub(location, 1, 2) ~= "/\\" end
  return host == entered.host or has_word(entered.hosts, host)
end

-- A client that came by a link stays in the scenario: by a cookie, if it keeps any, and by its redirects in any case.
function envoy_on_response(handle)
  local entered = (handle:streamInfo():dynamicMetadata():get("detour") or {})["entered"]
  local headers = handle:headers()
  if not entered or headers:get(HEADER) ~= entered.scenario then return end
  if entered.line then
    headers:add("set-cookie", entered.line)
    headers:replace("clear-site-data", '"cache"')
  end
  local location = headers:get("location")
  if location and is_edges(location, entered) then
    headers:replace("location", with_entry(location, entered.entry))
  end
end
