-- Answers a question that this Envoy asks itself. The filters before this one hold the question until they know.
function envoy_on_request(handle)
  handle:respond({ [":status"] = "204" }, "")
end
