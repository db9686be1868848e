-- At an edge, behind guard.lua: adds the overrides of the scenario that the route is for to a request's baggage. What a
-- client thought of is taken out first, unless it has a token, or the route says that this edge trusts it. Where the mesh wants it, a page
-- in a scenario carries a badge that names it.

-- Says whether a browser asks for a page to be shown, rather than for a part of one.
local function asks_for_page(headers)
  local purpose = headers:get("sec-fetch-dest")
  if purpose then return purpose == "document" end
  return string.find(headers:get("accept") or "", "text/html", 1, true) ~= nil
end

function envoy_on_request(handle)
  local context, headers = handle:filterContext(), handle:headers()
  local there, added = headers:get("baggage"), context:get("baggage")
  if there and not context:get("trusts") then
    guard(handle)
    there = headers:get("baggage")
  end
  -- As in detour.xds.edge.caching: a cache's conditions are those of another version.
  if headers:get(":method") == "GET" then
    headers:remove("if-none-match")
    headers:remove("if-modified-since")
  end
  headers:remove("baggage")
  headers:add("baggage", there and there ~= "" and there .. "," .. added or added)
  -- Nothing can be put into a page that is compressed.
  if context:get("badge") and asks_for_page(headers) then headers:remove("accept-encoding") end
end

function envoy_on_response(handle)
  local badge, headers = handle:filterContext():get("badge"), handle:headers()
  local is_page = string.sub(headers:get("content-type") or "", 1, 9) == "text/html"
  if not badge or not is_page or headers:get("content-encoding") then return end
  headers:remove("content-length")
  local is_done = false
  -- As it streams: a page is not held back until its end.
  for chunk in handle:bodyChunks() do
    local text = is_done and "" or chunk:getBytes(0, chunk:length())
    local _, finish = string.find(text, "<[bB][oO][dD][yY][^>]*>")
    if finish then
      chunk:setBytes(string.sub(text, 1, finish) .. badge .. string.sub(text, finish + 1))
      is_done = true
    end
  end
end
