"""The listener that takes all TCP connections of a pod, redirected to it, from clients that know of no proxy.

Plain HTTP/1 and HTTP/2 with prior knowledge are routed by the host that each request names, as in the outbound
listener. Everything else passes byte for byte to where its client connected to: TLS, databases, protocols in which
the server speaks first. So does HTTP to a host that the mesh does not have.

Invariant: where a connection was going comes from the kernel (`SO_ORIGINAL_DST`), never from anything that a client
sent. It reaches the way out of the mesh as filter state, which no header can set.
"""

from typing import Final

from detour.envoy.connection_manager import Json, as_downstream, connection_manager
from detour.envoy.outside import outside_cluster
from detour.envoy.transparency import CONNECT_SECONDS, LIMITS
from detour.envoy.vocabulary import TYPE

_DESTINATION: Final = "envoy.network.transport_socket.original_dst_address"
"""Filter state that clusters of the type ORIGINAL_DST look at first."""

_LOOPBACK: Final = ({"address_prefix": "127.0.0.0", "prefix_len": 8}, {"address_prefix": "::1", "prefix_len": 128})
_LISTENER_FILTERS: Final = TYPE + "envoy.extensions.filters.listener."
_NETWORK_FILTERS: Final = TYPE + "envoy.extensions.filters.network."

SERVER_FIRST_PORTS: Final = (21, 22, 25, 110, 143, 587, 3306, 5900)
"""Ports of well-known protocols in which the server speaks first: FTP, SSH, mail, MySQL and VNC. Nobody waits."""

HTTP: Final[Json] = {"application_protocols": ["http/1.0", "http/1.1", "h2c"]}
"""The connections that it takes for HTTP."""

INSPECTION_TIMEOUT: Final = "1s"
"""How long a connection may be silent before it counts as no HTTP.

Shorter, and a client that opens connections ahead of its requests would reach the baseline whatever its requests
say; longer, and unknown protocols in which the server speaks first wait that long."""


def transparent_listener(port: int, http: Json) -> Json:
    """Return the listener, on loopback, where REDIRECT leads to in a pod.

    Args:
        port: Its port.
        http: The connection manager that HTTP goes through.
    """
    return {
        "name": "transparent",
        "address": _address("127.0.0.1", port),
        "additional_addresses": [{"address": _address("::1", port)}],
        # In a pod without IPv6 there is no ::1 to bind.
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
    """Return the cluster in the place of `outside_cluster`: it leads to where the client connected to.

    Not to what DNS says of the Host header: a request to an address, with any Host, arrives at that address.
    """
    return {
        "name": outside_cluster()["name"],
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": f"{CONNECT_SECONDS}s",
        # Without this an address from the header x-envoy-original-dst-host would be believed.
        "original_dst_lb_config": {"use_http_header": False},
        "circuit_breakers": LIMITS,
        "typed_extension_protocol_options": as_downstream(),
    }


def _original_destination() -> Json:
    config = {"@type": _LISTENER_FILTERS + "original_dst.v3.OriginalDst"}
    return {"name": "envoy.filters.listener.original_dst", "typed_config": config}


def http_inspector() -> Json:
    """Return the listener filter that finds out whether a connection is HTTP."""
    config = {"@type": _LISTENER_FILTERS + "http_inspector.v3.HttpInspector"}
    return {"name": "envoy.filters.listener.http_inspector", "typed_config": config}


def _server_first() -> Json:
    """Match connections to ports on which the server speaks first, and all those within this Envoy."""
    ports = [{"destination_port_range": {"start": port, "end": port + 1}} for port in SERVER_FIRST_PORTS]
    return {"or_match": {"rules": ports}}


def _note_destination() -> Json:
    """Hand the destination on to the way out of the mesh, which another connection inside this Envoy leads to."""
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
        # A connection may be silent for as long as its ends agree.
        "idle_timeout": "0s",
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def _itself() -> Json:
    """Answer who connects to the listener itself, which would otherwise be connected to itself for ever."""
    words = "Detour: this listener takes connections that are redirected to it; connect to the service instead.\n"
    answer = {"status": 421, "body": {"inline_string": words}}
    route = {"match": {"prefix": "/"}, "direct_response": answer}
    routes = {"name": "itself", "virtual_hosts": [{"name": "itself", "domains": ["*"], "routes": [route]}]}
    return connection_manager("itself", [], route_config=routes)


def _address(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}
