-- What the ways into a scenario have in common. The header is the one by which an edge's route table chooses.

local HEADER = "x-detour-scenario"

-- Set where there is none, so that the request takes the route that it would have taken without looking here.
local NONE = "x-detour-entered"

-- No scenario can be called so: who names one that can't exist is told, and never gets the baseline in silence.
local NO_NAME = "-"

local function name(text)
  return #text <= 63 and string.match(text, "^[a-z0-9][a-z0-9-]*$") or NO_NAME
end

-- Returns the cookie's value, if it has one. Several lines come joined by commas, which no cookie's value holds. Nearly
-- every request of somebody in a scenario comes here: a plain search costs a third of a pattern.
local function cookie(text)
  local at = string.find(text, "detour=", 1, true)
  while at do
    local before = string.byte(text, at - 1)
    local is_own = at == 1 or before == 32 or before == 59 or before == 44  -- a space, ";" or ","
    local value = is_own and string.match(text, "^[^;,]+", at + 7)
    if value then return value end
    at = string.find(text, "detour=", at + 1, true)
  end
end

local function enter(headers, value)
  if value and value ~= "" then headers:replace(HEADER, name(value)) else headers:replace(NONE, "no") end
end
