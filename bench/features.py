"""What lets HTTP pass as it is, added to a plain Envoy: what a feature costs, with Detour or without.

Each changes a bootstrap of `bench.envoys.plain_bootstrap`, and has the very settings of sidecars and edges.
"""

from collections.abc import Iterator
from typing import Any

from bench.envoys import Json
from detour.envoy.connection_manager import HTTP_OPTIONS, upstream_protocol
from detour.envoy.transparency import HTTP1_UPSTREAM, RESET_RETRIES
from detour.envoy.vocabulary import CACHE_HEADERS


def keep_case(bootstrap: Json) -> None:
    """Have the names of headers keep their case, in both directions."""
    kept = {"header_key_format": HTTP1_UPSTREAM["header_key_format"]}
    for manager in _managers(bootstrap):
        manager["http_protocol_options"] = kept
    for options in _upstream(bootstrap):
        options["explicit_http_config"] = {"http_protocol_options": kept}


def try_again(bootstrap: Json) -> None:
    """Have requests sent again if their connection ends before the response begins."""
    for options in _upstream(bootstrap):
        options["retry_policy"] = RESET_RETRIES


def store_nothing(bootstrap: Json) -> None:
    """Have no cache store the responses."""
    names = ("cache-control", *CACHE_HEADERS)
    bootstrap["inline_headers"] = [
        {"inline_header_name": name, "inline_header_type": "RESPONSE_HEADER"} for name in names
    ]
    header = {"key": "cache-control", "value": "private, no-store"}
    for manager in _managers(bootstrap):
        for host in manager["route_config"]["virtual_hosts"]:
            added = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            host["routes"][0]["response_headers_to_add"] = [added]
            host["routes"][0]["response_headers_to_remove"] = list(CACHE_HEADERS)


def _managers(bootstrap: Json) -> Iterator[Json]:
    for listener in bootstrap["static_resources"]["listeners"]:
        yield listener["filter_chains"][0]["filters"][0]["typed_config"]


def _upstream(bootstrap: Json) -> Iterator[dict[str, Any]]:
    for cluster in bootstrap["static_resources"]["clusters"]:
        plain = upstream_protocol(explicit_http_config={"http_protocol_options": {}})
        yield cluster.setdefault("typed_extension_protocol_options", plain)[HTTP_OPTIONS]
