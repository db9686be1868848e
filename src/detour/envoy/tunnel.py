"""The end of a CONNECT tunnel to a service of the mesh: plain HTTP in it is routed like any other request.

A client that calls `https://users/` through the sidecar speaks TLS in the tunnel, but the service does not. To a
plain-text error the client would report "wrong version number". It therefore receives the TLS alert that the server
name is unknown, and the sidecar's log says what to do.
"""

from base64 import b64encode
from typing import Final

from detour.envoy.connection_manager import Json
from detour.envoy.vocabulary import TUNNEL_LISTENER, TYPE

_UNRECOGNIZED_NAME: Final = bytes((0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 112))
"""A fatal alert (RFC 8446, sections 5.1 and 6.2), in a record as servers send it before a version is negotiated."""

_LOG: Final = (
    "[%START_TIME%] Detour: a client spoke TLS to %REQUESTED_SERVER_NAME% through this sidecar, but the mesh says"
    " that the service speaks plain HTTP. Call http://%REQUESTED_SERVER_NAME%/ instead, or set protocol: tcp if it"
    " speaks TLS.\n"
)


def tunnel_listener(manager: Json) -> Json:
    """Return the listener.

    Args:
        manager: The connection manager for HTTP in the tunnel.
    """
    inspector = TYPE + "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    return {
        "name": TUNNEL_LISTENER,
        "internal_listener": {},
        "listener_filters": [
            {"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": inspector}}
        ],
        # A client may open a tunnel long before its first request.
        "listener_filters_timeout": "0s",
        "filter_chains": [
            {"filter_chain_match": {"transport_protocol": "tls"}, "filters": [_alert()]},
            {"filters": [manager]},
        ],
        "access_log": [_log()],
    }


def _alert() -> Json:
    kind = TYPE + "envoy.extensions.filters.network.direct_response.v3.Config"
    response = {"inline_bytes": b64encode(_UNRECOGNIZED_NAME).decode()}
    return {
        "name": "envoy.filters.network.direct_response",
        "typed_config": {"@type": kind, "response": response},
    }


def _log() -> Json:
    """Log a line for each client that spoke TLS and sent a server name."""
    log = TYPE + "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
    expression = TYPE + "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    condition = {"@type": expression, "expression": "connection.requested_server_name != ''"}
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {
            "extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": condition}
        },
        "typed_config": {"@type": log, "log_format": {"text_format_source": {"inline_string": _LOG}}},
    }
