"""The listener that receives all TCP connections of a pod by redirection; clients need no proxy settings.

Plain HTTP/1, and HTTP/2 with prior knowledge, is routed by the host of each request, as in the outbound listener.
Everything else is passed byte by byte to the address that the client connected to: TLS, databases, protocols where
the server speaks first. HTTP to hosts outside the mesh is passed there, too.

Invariant: the original destination comes from the kernel (`SO_ORIGINAL_DST`), never from anything that a client
sent. It reaches the way out of the mesh as filter state, which no header can set.
"""

from typing import Final

from detour.envoy.addresses import socket_address
from detour.envoy.connection_manager import Json, as_downstream, connection_manager
from detour.envoy.outside import outside_cluster
from detour.envoy.transparency import CONNECT_SECONDS, LIMITS
from detour.envoy.vocabulary import TYPE

_DESTINATION: Final = "envoy.network.transport_socket.original_dst_address"
"""Filter state that clusters of the type ORIGINAL_DST use first."""

_LOOPBACK: Final = ({"address_prefix": "127.0.0.0", "prefix_len": 8}, {"address_prefix": "::1", "prefix_len": 128})
_LISTENER_FILTERS: Final = TYPE + "envoy.extensions.filters.listener."
_NETWORK_FILTERS: Final = TYPE + "envoy.extensions.filters.network."

SERVER_FIRST_PORTS: Final = (21, 22, 25, 110, 143, 587, 3306, 5900)
"""Well-known ports where the server speaks first (FTP, SSH, mail, MySQL, VNC); their connections are not
inspected."""

HTTP: Final[Json] = {"application_protocols": ["http/1.0", "http/1.1", "h2c"]}
"""The connections that the listener treats as HTTP."""

INSPECTION_TIMEOUT: Final = "1s"
"""How long a connection may be silent before it is no longer treated as HTTP.

If shorter, clients that open connections ahead of their requests would reach the baseline whatever their requests
say. If longer, unknown protocols where the server speaks first would wait that long."""


def transparent_listener(port: int, http: Json) -> Json:
    """Return the listener, on loopback, that a pod's REDIRECT rules lead to.

    Args:
        port: Its port.
        http: The connection manager for HTTP.
    """
    return {
        "name": "transparent",
        "address": socket_address("127.0.0.1", port),
        "additional_addresses": [{"address": socket_address("::1", port)}],
        # A pod without IPv6 cannot bind ::1.
        "freebind": True,
        "enable_reuse_port": False,
        "listener_filters": [_original_destination(), {**http_inspector(), "filter_disabled": _server_first()}],
        "listener_filters_timeout": INSPECTION_TIMEOUT,
        "continue_on_listener_filters_timeout": True,
        "filter_chains": [
            {"name": "itself", "filter_chain_match": {"prefix_ranges": list(_LOOPBACK)}, "filters": [_itself()]},
            {
                "name": "http",
                "filter_chain_match": HTTP,
                "filters": [_note_destination(), http],
            },
        ],
        "default_filter_chain": {"name": "everything else", "filters": [_pass_on()]},
    }


def original_destination_cluster() -> Json:
    """Return the cluster that replaces `outside_cluster`: it connects to the client's original destination.

    It does not resolve the Host header: a request to an address arrives at that address, whatever its Host.
    """
    return {
        "name": outside_cluster()["name"],
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": f"{CONNECT_SECONDS}s",
        # Otherwise Envoy would trust the header x-envoy-original-dst-host.
        "original_dst_lb_config": {"use_http_header": False},
        "circuit_breakers": LIMITS,
        "typed_extension_protocol_options": as_downstream(),
    }


def _original_destination() -> Json:
    config = {"@type": _LISTENER_FILTERS + "original_dst.v3.OriginalDst"}
    return {"name": "envoy.filters.listener.original_dst", "typed_config": config}


def http_inspector() -> Json:
    """Return the listener filter that detects whether a connection is HTTP."""
    config = {"@type": _LISTENER_FILTERS + "http_inspector.v3.HttpInspector"}
    return {"name": "envoy.filters.listener.http_inspector", "typed_config": config}


def _server_first() -> Json:
    """Match connections to ports where the server speaks first, and all connections within this Envoy."""
    ports = [{"destination_port_range": {"start": port, "end": port + 1}} for port in SERVER_FIRST_PORTS]
    return {"or_match": {"rules": ports}}


def _note_destination() -> Json:
    """Pass the destination on to the way out of the mesh, which is another connection inside this Envoy."""
    value = {
        "object_key": _DESTINATION,
        "format_string": {"text_format_source": {"inline_string": "%DOWNSTREAM_LOCAL_ADDRESS%"}},
        "shared_with_upstream": "TRANSITIVE",
    }
    config = {"@type": _NETWORK_FILTERS + "set_filter_state.v3.Config", "on_new_connection": [value]}
    return {"name": "envoy.filters.network.set_filter_state", "typed_config": config}


def _pass_on() -> Json:
    config = {
        "@type": _NETWORK_FILTERS + "tcp_proxy.v3.TcpProxy",
        "stat_prefix": "passed_on",
        "cluster": outside_cluster()["name"],
        # A connection may be silent for as long as both ends agree.
        "idle_timeout": "0s",
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def _itself() -> Json:
    """Answer clients that connect to the listener itself, which would otherwise loop."""
    words = "Detour: this listener accepts only redirected connections; connect to the service instead.\n"
    answer = {"status": 421, "body": {"inline_string": words}}
    route = {"match": {"prefix": "/"}, "direct_response": answer}
    routes = {"name": "itself", "virtual_hosts": [{"name": "itself", "domains": ["*"], "routes": [route]}]}
    return connection_manager("itself", [], route_config=routes)
