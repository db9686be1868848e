-- Behind the filter that resolves a request's host: whatever comes this far has been.
function envoy_on_request(handle)
  handle:respond({ [":status"] = "204" }, "")
end
