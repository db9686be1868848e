"""The HTTP options of clusters, by the declared protocol; `test_golden.py` has the others whole."""

from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from detour.mesh import Protocol, Service
from detour.xds.http_options import http_options


def test_a_declared_http1_service_gets_headers_in_their_case_and_trailers() -> None:
    """Some HTTP/1.1 servers need both."""
    made = HttpProtocolOptions()
    assert http_options(Service("users"), Protocol.HTTP1).Unpack(made)
    http1 = made.explicit_http_config.http_protocol_options
    formatter = http1.header_key_format.stateful_formatter.name
    assert (http1.enable_trailers, formatter) == (True, "envoy.http.stateful_header_formatters.preserve_case")
    assert not made.HasField("use_downstream_protocol_config")
