"""The end of a CONNECT tunnel to a service of the mesh: plain HTTP in it is routed like any other request.

TLS in a tunnel passes unread to a port whose protocol is not declared. Other services do not speak it: a client
that calls `https://users/` through the sidecar would report "wrong version number" for a plain-text error. It
therefore receives the TLS alert that the server name is unknown, and the sidecar's log says what to do.
"""

from base64 import b64encode
from typing import Final

from detour.envoy.connection_manager import Json
from detour.envoy.control_plane import ADS, ON_DEMAND_TIMEOUT
from detour.envoy.vocabulary import METADATA, TLS, TUNNEL_LISTENER, TYPE

_UNRECOGNIZED_NAME: Final = bytes((0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 112))
"""A fatal alert (RFC 8446, sections 5.1 and 6.2), in a record as servers send it before a version is negotiated."""

_UNREAD: Final = "tls, passed on"
_ALERT: Final = "tls, refused"
_HTTP: Final = "http"
"""The names of filter chains."""

_CHOSEN: Final = "envoy.tcp_proxy.cluster"
"""Filter state: the cluster that a TCP proxy connects to, instead of its own."""

_NAMED: Final = "detour.tls"
"""Filter state: the same, as text."""

_NETWORK_FILTERS: Final = TYPE + "envoy.extensions.filters.network."
_INPUTS: Final = TYPE + "envoy.extensions.matching.common_inputs.network.v3."

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
            _choose(),
            {"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": inspector}},
        ],
        # A client may open a tunnel long before its first request.
        "listener_filters_timeout": "0s",
        "filter_chains": [
            {"name": _UNREAD, "filters": [_pass_on()]},
            {"name": _ALERT, "filters": [_alert()]},
            {"name": _HTTP, "filters": [manager]},
        ],
        "filter_chain_matcher": _by_protocol(),
        "access_log": [_log()],
    }


def _by_protocol() -> Json:
    """Select a filter chain by the tunnel's content, and TLS by whether the control plane has named its cluster."""
    protocol = {"name": "protocol", "typed_config": {"@type": _INPUTS + "TransportProtocolInput"}}
    named = {"@type": _INPUTS + "FilterStateInput", "key": _NAMED}
    is_named = {
        "single_predicate": {
            "input": {"name": "cluster", "typed_config": named},
            "value_match": {"safe_regex": {"regex": ".+", "google_re2": {}}},
        }
    }
    unread = {"matcher_list": {"matchers": [{"predicate": is_named, "on_match": _chain(_UNREAD)}]}}
    tls = {"matcher": {**unread, "on_no_match": _chain(_ALERT)}}
    return {
        "matcher_tree": {"input": protocol, "exact_match_map": {"map": {"tls": tls}}},
        "on_no_match": _chain(_HTTP),
    }


def _chain(name: str) -> Json:
    return {
        "action": {
            "name": name,
            "typed_config": {"@type": TYPE + "google.protobuf.StringValue", "value": name},
        }
    }


def _choose() -> Json:
    """Choose the cluster that the control plane has named in the metadata of the tunnel's own cluster, if any."""
    named = f"%DYNAMIC_METADATA({METADATA}:{TLS})%"
    value = {
        "format_string": {"text_format_source": {"inline_string": named}, "omit_empty_values": True},
        "skip_if_empty": True,
    }
    values = [
        {"object_key": _CHOSEN, **value},
        # The other one cannot be matched.
        {"object_key": _NAMED, "factory_key": "envoy.string", **value},
    ]
    config = {"@type": TYPE + "envoy.extensions.filters.listener.set_filter_state.v3.Config", "on_accept": values}
    return {"name": "envoy.filters.listener.set_filter_state", "typed_config": config}


def _pass_on() -> Json:
    config = {
        "@type": _NETWORK_FILTERS + "tcp_proxy.v3.TcpProxy",
        "stat_prefix": "tunnel_tls",
        "cluster": TUNNEL_LISTENER,  # never used: the filter state takes precedence
        "on_demand": {"odcds_config": ADS, "timeout": ON_DEMAND_TIMEOUT},
        # A connection may be silent for as long as both ends agree.
        "idle_timeout": "0s",
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


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
