"""HTTP connection managers, as plain data in Envoy's JSON form: the options that all listeners share.

Invariant: as transparent as Envoy can be. Requests and responses pass unchanged, unless a route says otherwise.
"""

from typing import Any, Final

from detour.envoy.transparency import (
    COMMON_UPSTREAM,
    DOWNSTREAM,
    HTTP1_UPSTREAM,
    HTTP2_UPSTREAM,
    REPEATABLE,
    RESET_RETRIES,
    SAFE_RETRIES,
)
from detour.envoy.vocabulary import METADATA, SERVED_BY_HEADER, TIMEOUT, TIMEOUT_FILTER, TYPE

Json = dict[str, Any]

HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

_MANAGER: Final = TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def connection_manager(stat_prefix: str, filters: list[Json], **options: object) -> Json:
    """Return the network filter that handles HTTP.

    It has no idle timeout for streams: a WebSocket or a gRPC stream may be silent for as long as both ends agree.
    """
    manager = {
        "@type": _MANAGER,
        "stat_prefix": stat_prefix,
        "stream_idle_timeout": "0s",
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        **DOWNSTREAM,
        "http_filters": [*filters, router()],
        **options,
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def router() -> Json:
    """Return the router, the last filter of every chain."""
    # Adds none of Envoy's own headers, such as its timings, to requests and responses.
    return http_filter("envoy.filters.http.router", "router.v3.Router", suppress_envoy_headers=True)


def http_filter(name: str, kind: str, **config: object) -> Json:
    """Return an HTTP filter; `kind` is its message below `envoy.extensions.filters.http`."""
    return {"name": name, "typed_config": {"@type": f"{TYPE}envoy.extensions.filters.http.{kind}", **config}}


def timeout_filter() -> Json:
    """Return the filter that applies a cluster's timeout, from the end of a request to the start of its response.

    Envoy takes the timeout from a route or from a request header. Routes do not know services, so this filter sets
    the header. Envoy removes it before it forwards the request.
    """
    timeout = {
        "key": "x-envoy-upstream-rq-per-try-timeout-ms",
        "value": f"%METADATA(CLUSTER:{METADATA}:{TIMEOUT})%",
    }
    # Without a timeout the value is empty, and Envoy adds no header.
    append = {"append": {"header": timeout, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    made = http_filter(
        "header_mutation", "header_mutation.v3.HeaderMutation", mutations={"request_mutations": [append]}
    )
    return {**made, "name": TIMEOUT_FILTER, "disabled": True}


def routes_to(cluster: str, *headers: Json, **more: object) -> list[Json]:
    """Return the routes of all requests with these headers to a cluster that has no retries of its own."""
    action = {"cluster": cluster, "timeout": "0s"}
    policies: tuple[tuple[list[Json], Json], ...] = (([REPEATABLE], RESET_RETRIES), ([], SAFE_RETRIES))
    return [
        {
            "match": {"prefix": "/", "headers": [*headers, *method]},
            "route": {**action, "retry_policy": policy},
            **more,
        }
        for method, policy in policies
    ]


def upstream_protocol(**options: object) -> Json:
    """Return a cluster's upstream protocol, as its `typed_extension_protocol_options`."""
    return {HTTP_OPTIONS: {"@type": TYPE + HTTP_OPTIONS, **options}}


def as_downstream() -> Json:
    """Return the options of a cluster that uses the protocol of the incoming request."""
    options = {"http_protocol_options": HTTP1_UPSTREAM, "http2_protocol_options": HTTP2_UPSTREAM}
    return upstream_protocol(use_downstream_protocol_config=options, common_http_protocol_options=COMMON_UPSTREAM)


def reply(
    flag: str, words: str, *, status: int = 0, served_by: bool = False, header: tuple[str, str] | None = None
) -> Json:
    """Return a mapper that turns one of Envoy's response flags into text (access log docs, "%RESPONSE_FLAGS%")."""
    mapper: Json = {
        "filter": {"response_flag_filter": {"flags": [flag]}},
        "body_format_override": {"text_format_source": {"inline_string": f"Detour: {words}\n"}},
    }
    if status:
        mapper["status_code"] = status
    if served_by:
        header = (SERVED_BY_HEADER, "%UPSTREAM_CLUSTER%")
    if header:
        added = {"key": header[0], "value": header[1]}
        mapper["headers_to_add"] = [{"header": added, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
    return mapper
