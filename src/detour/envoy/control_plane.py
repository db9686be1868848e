"""An Envoy's connection to the control plane, as plain data in Envoy's JSON form: cluster and config sources."""

from typing import Final

from detour.envoy.addresses import single_endpoint
from detour.envoy.connection_manager import Json, http_filter, upstream_protocol
from detour.envoy.identity import ClientTls, client_socket
from detour.envoy.vocabulary import ON_DEMAND_FILTER

CONTROL_PLANE: Final = "@control-plane"
"""The name of its cluster."""

ADS: Final[Json] = {"ads": {}, "resource_api_version": "V3"}
"""The config source of everything that the control plane sends."""

STARTING_ADS: Final[Json] = {**ADS, "initial_fetch_timeout": "2s"}
"""The same for what an Envoy needs at its start. It does not wait long for an absent control plane."""

SIDECAR_STARTING_ADS: Final[Json] = {**ADS, "initial_fetch_timeout": "0.5s"}
"""The same for sidecars. They work without a control plane, and inbound requests must not wait for it."""

ON_DEMAND_TIMEOUT: Final = "5s"
"""How long a request waits for the control plane: longer than a restart of it takes."""


def ads_config() -> Json:
    """Return the `ads_config` of a bootstrap: delta ADS."""
    envoy_grpc = {
        "cluster_name": CONTROL_PLANE,
        "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
    }
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": envoy_grpc}],
    }


def control_plane_cluster(address: str, tls: ClientTls | None = None) -> Json:
    """Return the cluster of the control plane.

    Args:
        address: `host:port` of its ADS.
        tls: The client certificate; None for plain text.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    keepalive = {"interval": "10s", "timeout": "5s"}
    http2 = {"explicit_http_config": {"http2_protocol_options": {"connection_keepalive": keepalive}}}
    return {
        "name": CONTROL_PLANE,
        "alt_stat_name": "control-plane",
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": upstream_protocol(**http2),
        "load_assignment": single_endpoint(CONTROL_PLANE, host, int(port)),
        **({"transport_socket": client_socket(tls, host)} if tls else {}),
    }


def on_demand_filter() -> Json:
    """Return the filter that requests the cluster of a request's route from the control plane, and waits for it.

    All such filters of an Envoy wait equally long: Envoy has one timer for each cluster, that of the first request.
    """
    odcds = {"source": ADS, "timeout": ON_DEMAND_TIMEOUT}
    return http_filter(ON_DEMAND_FILTER, "on_demand.v3.OnDemand", odcds=odcds)
