"""Connection managers whose routes come from the control plane, as plain data in Envoy's JSON form.

Sidecars' outbound listeners and edges have one each; they share their filters and error responses.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from detour.envoy.connection_manager import Json, connection_manager, http_filter, router, timeout_filter
from detour.envoy.control_plane import (
    CONTROL_PLANE,
    ON_DEMAND_TIMEOUT,
    SIDECAR_STARTING_ADS,
    on_demand_filter,
)
from detour.envoy.fail_open import NO_ROUTES, tunnel_filters
from detour.envoy.outside import forward_proxy
from detour.envoy.replies import outbound_replies
from detour.envoy.reports import hop_log
from detour.envoy.transparency import DOWNSTREAM, LASTING
from detour.envoy.tunnel_out import note_host
from detour.envoy.vocabulary import FAULT_FILTER, LUA_FILTER, OUTBOUND_ROUTES

_NO_ROUTES_AT_EDGE: Final = "this edge has no routes: it has not reached the control plane yet"


def outbound_manager(stat_prefix: str = "outbound") -> Json:
    """Return the connection manager of requests from the application that uses the control plane's route table."""
    routes = {"rds": {"route_config_name": OUTBOUND_ROUTES, "config_source": SIDECAR_STARTING_ADS}}
    return routing_manager(stat_prefix, routes, for_tunnels=connect_filters(), **LASTING)


def connect_filters() -> list[Json]:
    """Return the filters of CONNECT requests. Those that take time are disabled unless a route enables them."""
    return [*tunnel_filters(), {**forward_proxy(), "disabled": True}, note_host()]


def routing_manager(
    stat_prefix: str,
    routes: Json,
    *more_filters: Json,
    first: Sequence[Json] = (),
    before_lookup: Sequence[Json] = (),
    for_tunnels: Sequence[Json] = (),
    scripts: Mapping[str, str] | None = None,
    **options: object,
) -> Json:
    """Return a connection manager.

    Args:
        stat_prefix: The prefix of its statistics.
        routes: Where its routes come from, as one of the manager's fields.
        more_filters: Additional filters, disabled unless a route enables them.
        first: The same, but before all others.
        before_lookup: Filters that run before a cluster is requested from the control plane.
        for_tunnels: Filters of CONNECT requests only.
        scripts: Lua that routes can refer to by name.
        options: Further fields of the manager.
    """
    filters = [
        *({**one, "disabled": True} for one in first),
        *before_lookup,
        on_demand_filter(),
        # Disabled unless a route enables them: routes with faults do, and those that strip overrides.
        {**lua_filter(LUA_FILTER, scripts or {}), "disabled": True},
        {**http_filter(FAULT_FILTER, "fault.v3.HTTPFault"), "disabled": True},
        *({**one, "disabled": True} for one in more_filters),
        timeout_filter(),
    ]
    replies = outbound_replies(_NO_ROUTES_AT_EDGE if stat_prefix == "edge" else NO_ROUTES, ON_DEMAND_TIMEOUT)
    # A separate chain, because each filter in a chain costs every request, even if it is disabled.
    connect = {"filters": [*for_tunnels, *filters, router()]} if for_tunnels else {}
    upgrades = [*DOWNSTREAM["upgrade_configs"], {"upgrade_type": "CONNECT", **connect}]
    return connection_manager(
        stat_prefix,
        filters,
        **routes,
        upgrade_configs=upgrades,
        # DNS ignores a trailing dot, but routes would not.
        strip_trailing_host_dot=True,
        local_reply_config={"mappers": replies},
        access_log=[hop_log(CONTROL_PLANE)],
        **options,
    )


def lua_filter(name: str, scripts: Mapping[str, str]) -> Json:
    """Return a Lua filter with named scripts. A request that a script changes keeps its route."""
    config: Json = {"clear_route_cache": False}
    if scripts:
        config["source_codes"] = {key: {"inline_string": code} for key, code in scripts.items()}
    return {**http_filter(LUA_FILTER, "lua.v3.Lua", **config), "name": name}
