-- At an edge; follows guard.lua. Adds the overrides of the route's scenario to a request's baggage. Overrides from
-- the client are removed first, unless it has a token or this edge trusts overrides. If the mesh is configured to, a
-- page in a scenario shows a badge with its name.

-- Returns whether a browser requests a page to display, not a part of one.
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
  -- As in detour.xds.edge.caching: the cache's conditions refer to another version.
  if headers:get(":method") == "GET" then
    headers:remove("if-none-match")
    headers:remove("if-modified-since")
  end
  headers:remove("baggage")
  headers:add("baggage", there and there ~= "" and there .. "," .. added or added)
  -- The badge cannot be inserted into a compressed page.
  if context:get("badge") and asks_for_page(headers) then headers:remove("accept-encoding") end
end

function envoy_on_response(handle)
  local badge, headers = handle:filterContext():get("badge"), handle:headers()
  local is_page = string.sub(headers:get("content-type") or "", 1, 9) == "text/html"
  if not badge or not is_page or headers:get("content-encoding") then return end
  headers:remove("content-length")
  local is_done = false
  -- Chunk by chunk, so that a streamed page is not delayed until its end.
  for chunk in handle:bodyChunks() do
    local text = is_done and "" or chunk:getBytes(0, chunk:length())
    local _, finish = string.find(text, "<[bB][oO][dD][yY][^>]*>")
    if finish then
      chunk:setBytes(string.sub(text, 1, finish) .. badge .. string.sub(text, finish + 1))
      is_done = true
    end
  end
end
