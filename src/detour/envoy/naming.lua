-- What the ways into a scenario have in common. The header is the one by which an edge's route table chooses.

local HEADER = "x-detour-scenario"

-- Set where there is none, so that the request takes the route that it would have taken without looking here.
local NONE = "x-detour-entered"

-- No scenario can be called so: who names one that can't exist is told, and never gets the baseline in silence.
local NO_NAME = "-"

local function name(text)
  return #text <= 63 and string.match(text, "^[a-z0-9][a-z0-9-]*$") or NO_NAME
end

-- Returns the cookie's value, if it has one. Several lines come joined by commas, which no cookie's value holds.
local function cookie(text)
  return string.match(text, "^detour=([^;,]+)") or string.match(text, "[;,]%s*detour=([^;,]+)")
end

local function enter(headers, value)
  if value and value ~= "" then headers:replace(HEADER, name(value)) else headers:replace(NONE, "no") end
end
