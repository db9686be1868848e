"""Where a CONNECT tunnel leads if the control plane has not described its host in time: to that host.

Plain HTTP in the tunnel is routed like any request from the application, so that overrides are refused instead of
ignored. Everything else is passed byte by byte.

Invariant: the tunnel's host reaches this listener as filter state, which no header can set.
"""

from typing import Final

from detour.envoy.connection_manager import Json
from detour.envoy.transparency import CONNECT_SECONDS, LIMITS
from detour.envoy.transparent import HTTP, INSPECTION_TIMEOUT, http_inspector
from detour.envoy.vocabulary import OUTSIDE_DNS, TUNNEL_BYTES_CLUSTER, TUNNEL_OUT_LISTENER, TYPE

_HOST: Final = "envoy.upstream.dynamic_host"
"""Filter state that the clusters of a forward proxy use first."""

_OUTBOUND_CLUSTER: Final = "@outbound"
_NETWORK_FILTERS: Final = TYPE + "envoy.extensions.filters.network."


def tunnel_out_listener() -> Json:
    """Return the listener."""
    return {
        "name": TUNNEL_OUT_LISTENER,
        "internal_listener": {},
        "listener_filters": [http_inspector()],
        "listener_filters_timeout": INSPECTION_TIMEOUT,
        "continue_on_listener_filters_timeout": True,
        "filter_chains": [{"name": "http", "filter_chain_match": HTTP, "filters": [_pass_on(_OUTBOUND_CLUSTER)]}],
        "default_filter_chain": {
            "name": "everything else",
            "filters": [_resolve(), _pass_on(TUNNEL_BYTES_CLUSTER)],
        },
    }


def note_host() -> Json:
    """Return the HTTP filter for CONNECT that passes the tunnel's host on to that listener."""
    value = {
        "object_key": _HOST,
        "format_string": {"text_format_source": {"inline_string": "%REQ(:AUTHORITY)%"}},
        "shared_with_upstream": "ONCE",
    }
    kind = "envoy.extensions.filters.http.set_filter_state.v3.Config"
    config = {"@type": TYPE + kind, "on_request_headers": [value]}
    return {"name": "envoy.filters.http.set_filter_state", "typed_config": config}


def bytes_cluster() -> Json:
    """Return the cluster that connects to the host of a request or a tunnel, for any protocol."""
    kind = TYPE + "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
    config = {"@type": kind, "dns_cache_config": OUTSIDE_DNS, "allow_insecure_cluster_options": True}
    return {
        "name": TUNNEL_BYTES_CLUSTER,
        "alt_stat_name": "outside",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "cluster_type": {"name": "envoy.clusters.dynamic_forward_proxy", "typed_config": config},
        "circuit_breakers": LIMITS,
    }


def _resolve() -> Json:
    kind = _NETWORK_FILTERS + "sni_dynamic_forward_proxy.v3.FilterConfig"
    config = {"@type": kind, "port_value": 80, "dns_cache_config": OUTSIDE_DNS}
    return {"name": "envoy.filters.network.sni_dynamic_forward_proxy", "typed_config": config}


def outbound_cluster(port: int) -> Json:
    """Return the cluster that leads back to the outbound listener, whose manager is too large to be repeated here.

    Args:
        port: The port that the application sends its requests to.
    """
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "name": _OUTBOUND_CLUSTER,
        "alt_stat_name": "outbound",
        "type": "STATIC",
        "circuit_breakers": LIMITS,
        "load_assignment": {
            "cluster_name": _OUTBOUND_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _pass_on(cluster: str) -> Json:
    config = {
        "@type": _NETWORK_FILTERS + "tcp_proxy.v3.TcpProxy",
        "stat_prefix": "tunnel_out",
        "cluster": cluster,
        # A tunnel may be silent for as long as both ends agree.
        "idle_timeout": "0s",
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}
