"""The reports that an Envoy sends to the control plane, as plain data in Envoy's JSON form.

Invariant: only requests whose baggage asks for it, and those that leave the mesh with overrides, are reported
individually. All others are only counted, which Envoy does anyway.
"""

from typing import Final

from detour.envoy.connection_manager import Json
from detour.envoy.vocabulary import CLUSTER, LEFT, METADATA, SERVED_BY, TRIAL, TYPE

_LOGGER: Final = TYPE + "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"
_LOGGED: Final = ("baggage", "grpc-status")


def load_reports(control_plane: str) -> Json:
    """Return the `cluster_manager` of a bootstrap, which reports the number of requests per cluster (LRS v3).

    Args:
        control_plane: The cluster to report to.
    """
    config = {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [_to(control_plane)]}
    return {"load_stats_config": config}


def departure_log(control_plane: str) -> Json:
    """Return the access log of requests that left the mesh with overrides (ALS v3).

    Args:
        control_plane: The cluster to report to.
    """
    path = [{"key": LEFT}]
    left = {"tag": LEFT, "metadata": {"kind": {"request": {}}, "metadata_key": {"key": METADATA, "path": path}}}
    noted = {"matcher": {"filter": METADATA, "path": path, "value": {"present_match": True}}}
    config = {"@type": _LOGGER, "common_config": _common("departures", control_plane, left)}
    # Without `match_if_key_not_found: false`, requests without that metadata would be logged, too.
    condition = {"metadata_filter": {**noted, "match_if_key_not_found": False}}
    return {"name": "envoy.access_loggers.http_grpc", "filter": condition, "typed_config": config}


def hop_log(control_plane: str) -> Json:
    """Return the access log of requests that belong to a trial, according to their baggage (ALS v3).

    Args:
        control_plane: The cluster to report to.
    """
    served_by = {
        "tag": SERVED_BY,
        "metadata": {"kind": {"host": {}}, "metadata_key": {"key": METADATA, "path": [{"key": SERVED_BY}]}},
    }
    cluster = {"tag": CLUSTER, "value": "%UPSTREAM_CLUSTER_RAW%"}
    baggage, grpc_status = _LOGGED
    config = {
        "@type": _LOGGER,
        "common_config": _common("hops", control_plane, served_by, cluster),
        "additional_request_headers_to_log": [baggage],
        "additional_response_headers_to_log": [grpc_status],
        "additional_response_trailers_to_log": [grpc_status],
    }
    marked = {"name": baggage, "string_match": {"contains": f"override.config.{TRIAL}="}}
    return {
        "name": "envoy.access_loggers.http_grpc",
        "filter": {"header_filter": {"header": marked}},
        "typed_config": config,
    }


def _common(name: str, control_plane: str, *tags: Json) -> Json:
    return {
        "log_name": name,
        "transport_api_version": "V3",
        "grpc_service": _to(control_plane),
        # Each entry is sent at once, because a user waits for it. A flush timer would have nothing to do but wake
        # up every worker of every idle Envoy.
        "buffer_size_bytes": 0,
        "buffer_flush_interval": "3600s",
        "custom_tags": list(tags),
    }


def _to(control_plane: str) -> Json:
    return {"envoy_grpc": {"cluster_name": control_plane}}
