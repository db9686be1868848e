-- Follows the filter that resolves a request's host: every request that arrives here has been resolved.
function envoy_on_request(handle)
  handle:respond({ [":status"] = "204" }, "")
end
