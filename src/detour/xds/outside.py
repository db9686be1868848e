"""Clusters for hosts outside the mesh, to which a sidecar is an ordinary forward proxy.

Invariant: no override and no internal header leaves the mesh: they are removed by the cluster itself, whichever
route led to it. Names are resolved by Envoy request by request (dynamic forward proxy), so that a slow DNS server
delays nobody else.
"""

from functools import cache
from typing import Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as forward_proxy_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.http.upstream_codec.v3 import upstream_codec_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.type.matcher.v3 import string_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from detour.envoy.lua import strip_source
from detour.envoy.vocabulary import OUTSIDE_DNS
from detour.xds.messages import HTTP_OPTIONS, packed
from detour.xds.names import Target

INTERNAL_PREFIXES: Final = ("x-envoy-", "x-detour-")
INTERNAL_HEADERS: Final = ("x-ot-span-context", "x-forwarded-proto")
"""The second is what the sidecar's own connection manager adds."""

_CONNECT_TIMEOUT: Final = Duration(seconds=10)


def outside_cluster(name: str, target: Target) -> cluster_pb2.Cluster:
    """Return a cluster that sends each request to the host that it names, port 80 by default."""
    # Envoy's rule is about TLS to the names that it resolves; this forward proxy speaks plain HTTP only.
    forward_proxy = forward_proxy_pb2.ClusterConfig(allow_insecure_cluster_options=True)
    ParseDict(OUTSIDE_DNS, forward_proxy.dns_cache_config)
    return cluster_pb2.Cluster(
        name=name,
        alt_stat_name="outside",
        cluster_type=cluster_pb2.Cluster.CustomClusterType(
            name="envoy.clusters.dynamic_forward_proxy", typed_config=packed(forward_proxy)
        ),
        lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED,
        connect_timeout=_CONNECT_TIMEOUT,
        # What passes through a tunnel is not ours to read, let alone to change.
        typed_extension_protocol_options={} if target.is_tunnel else {HTTP_OPTIONS: _http_options()},
    )


@cache
def _http_options() -> Any:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    options.use_downstream_protocol_config.http_protocol_options.SetInParent()
    options.use_downstream_protocol_config.http2_protocol_options.SetInParent()
    strip = lua_pb2.Lua()
    strip.default_source_code.inline_string = strip_source()
    options.http_filters.extend(
        (
            _filter("envoy.filters.http.lua", strip),
            _filter("envoy.filters.http.header_mutation", _remove_internal_headers()),
            _filter("envoy.filters.http.upstream_codec", upstream_codec_pb2.UpstreamCodec()),
        )
    )
    return packed(options)


def _remove_internal_headers() -> header_mutation_pb2.HeaderMutation:
    rules = [mutation_rules_pb2.HeaderMutation(remove=name) for name in INTERNAL_HEADERS]
    for prefix in INTERNAL_PREFIXES:
        rule = mutation_rules_pb2.HeaderMutation()
        rule.remove_on_match.key_matcher.CopyFrom(string_pb2.StringMatcher(prefix=prefix))
        rules.append(rule)
    return header_mutation_pb2.HeaderMutation(mutations=header_mutation_pb2.Mutations(request_mutations=rules))


def _filter(name: str, config: Message) -> http_connection_manager_pb2.HttpFilter:
    return http_connection_manager_pb2.HttpFilter(name=name, typed_config=packed(config))
