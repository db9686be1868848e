"""The connection manager of edges, as plain data in Envoy's JSON form."""

from detour.envoy.connection_manager import Json
from detour.envoy.control_plane import STARTING_ADS
from detour.envoy.lua import edge_faults_source, enter_source, guard_source, scenario_source
from detour.envoy.routing import lua_filter, routing_manager
from detour.envoy.scenario_name import scenario_name
from detour.envoy.vocabulary import (
    ADD_SCENARIO,
    EDGE_ROUTES,
    EDGE_ROUTES_TRUSTED,
    ENTER,
    ENTER_FILTER,
    ENVOY_HEADER_PREFIX,
    FAULTS,
    FAULTS_OF_BOTH,
    GUARD,
    SCENARIO_FILTER,
    TOKEN_FILTER,
    TYPE,
)


def edge_manager(*, trust_overrides: bool) -> Json:
    """Return the connection manager of an edge without proxies in front of it."""
    routes = {
        "rds": {
            "route_config_name": EDGE_ROUTES_TRUSTED if trust_overrides else EDGE_ROUTES,
            "config_source": STARTING_ADS,
        }
    }
    guard: Json = {"use_remote_address": True, "generate_request_id": True}
    if not trust_overrides:
        guard["early_header_mutation_extensions"] = [_remove_headers(ENVOY_HEADER_PREFIX)]
    scripts = {name: edge_faults_source(opentracing=name == FAULTS_OF_BOTH) for name in (FAULTS, FAULTS_OF_BOTH)}
    scripts[GUARD] = guard_source()
    first = [_enter(), scenario_name(), _token_check()]
    made = routing_manager("edge", routes, _scenario(), first=first, scripts=scripts, **guard)
    _prevent_caching(made)
    return made


def _prevent_caching(http: Json) -> None:
    """Prevent caches in front of the edge from storing its own error responses, such as faults."""
    mappers = http["typed_config"]["local_reply_config"]["mappers"]
    mappers.append({"filter": {"response_flag_filter": {"flags": ["FI"]}}})
    header = {"key": "cache-control", "value": "no-store"}
    added = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    for mapper in mappers:
        mapper["headers_to_add"] = [*mapper.get("headers_to_add", ()), added]


def _remove_headers(prefix: str) -> Json:
    """Remove request headers with a prefix before Envoy reads them."""
    kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    removed = {"remove_on_match": {"key_matcher": {"prefix": prefix}}}
    config = {"@type": TYPE + kind, "mutations": [removed]}
    return {"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": config}


def _enter() -> Json:
    # Also as the default script: responses are processed on whatever route the request has ended up with.
    made = lua_filter(ENTER_FILTER, {ENTER: enter_source()})
    made["typed_config"]["default_source_code"] = {"inline_string": enter_source()}
    return made


def _scenario() -> Json:
    return lua_filter(SCENARIO_FILTER, {ADD_SCENARIO: scenario_source()})


def _token_check() -> Json:
    """Return the token filter. Until the control plane configures it, no token is valid."""
    kind = TYPE + "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
    discovery = {
        "config_source": STARTING_ADS,
        "default_config": {"@type": kind},
        "type_urls": [kind],
    }
    return {"name": TOKEN_FILTER, "config_discovery": discovery}
