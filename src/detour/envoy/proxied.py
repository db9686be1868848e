"""An edge behind other proxies, as plain data in Envoy's JSON form.

Invariant: the edge trusts `x-forwarded-*` and `x-request-id` only if they come from proxies that the mesh trusts.
"""

from collections.abc import Sequence
from ipaddress import ip_network

from detour.envoy.connection_manager import Json, http_filter
from detour.envoy.vocabulary import TYPE
from detour.mesh import TrustedProxies

_FORWARDED = "x-forwarded-"
_OTHERS_FORWARDED = ("forwarded", "x-real-ip")
"""Other headers with which proxies report the client."""

_MATCHING = "envoy.extensions.common.matching.v3.ExtensionWithMatcher"
_SKIPPED = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
_PEER = "envoy.extensions.matching.common_inputs.network.v3.DirectSourceIPInput"


def behind(proxies: TrustedProxies, manager: Json) -> Json:
    """Return an edge's connection manager, adapted to the proxies in front of it; unchanged if there are none.

    Args:
        proxies: The trusted proxies.
        manager: The network filter.
    """
    if not proxies:
        return manager
    config = manager["typed_config"]
    unbelieved = [_unless_from(proxies.networks, _forget())] if proxies.networks else []
    changed = {
        **config,
        # If Envoy trusts any proxy, it also keeps `x-forwarded-proto`.
        "xff_num_trusted_hops": proxies.hops or 1,
        "preserve_external_request_id": True,
        "http_filters": [*unbelieved, *config["http_filters"]],
    }
    return {**manager, "typed_config": changed}


def _forget() -> Json:
    """Replace forwarding headers with the values of the connection: the sender is the client."""
    said = {
        "x-forwarded-for": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
        "x-forwarded-proto": "http",
        "x-request-id": "%UNIQUE_ID%",
    }
    mutations = [
        {"remove_on_match": {"key_matcher": {"prefix": _FORWARDED}}},
        *({"remove": name} for name in _OTHERS_FORWARDED),
        *({"append": _setting(name, value)} for name, value in said.items()),
    ]
    kind, name = "header_mutation.v3.HeaderMutation", "envoy.filters.http.header_mutation"
    return http_filter(name, kind, mutations={"request_mutations": mutations})


def _setting(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _unless_from(networks: Sequence[str], one: Json) -> Json:
    """Run a filter for all requests except those on connections from these networks."""
    skip = {"action": {"name": "skip", "typed_config": {"@type": TYPE + _SKIPPED}}}
    ranges = [_range(network) for network in networks]
    trie = {
        "@type": TYPE + "xds.type.matcher.v3.IPMatcher",
        "range_matchers": [{"ranges": ranges, "on_match": skip}],
    }
    matcher = {
        "matcher_tree": {
            "input": {"name": "peer", "typed_config": {"@type": TYPE + _PEER}},
            "custom_match": {"name": "networks", "typed_config": trie},
        }
    }
    config = {"@type": TYPE + _MATCHING, "extension_config": one, "xds_matcher": matcher}
    return {"name": "detour.proxies", "typed_config": config}


def _range(network: str) -> Json:
    known = ip_network(network)
    return {"address_prefix": str(known.network_address), "prefix_len": known.prefixlen}
