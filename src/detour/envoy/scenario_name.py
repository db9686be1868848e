"""How an edge finds the scenario that a request names, as plain data in Envoy's JSON form.

Invariant: native code only, because every request of a browser in a scenario passes it.
"""

from detour.envoy.connection_manager import Json, http_filter
from detour.envoy.vocabulary import (
    METADATA,
    NAME_FILTER,
    SCENARIO,
    SCENARIO_COOKIE,
    SCENARIO_HEADER,
    SCENARIO_STATE,
)


def scenario_name() -> Json:
    """Return the filter that stores the name of a request's scenario in the filter state, for route lookup.

    If both the header and the cookie name a scenario, the header wins. A request that names none keeps its route.
    """
    name = {"metadata_namespace": METADATA, "key": SCENARIO, "type": "STRING"}
    sources = ({"cookie": SCENARIO_COOKIE}, {"header": SCENARIO_HEADER})
    read = http_filter(
        "envoy.filters.http.header_to_metadata",
        "header_to_metadata.v3.Config",
        request_rules=[{**source, "on_header_present": name} for source in sources],
    )
    choose = http_filter(
        "envoy.filters.http.set_filter_state",
        "set_filter_state.v3.Config",
        on_request_headers=[_state(f"%DYNAMIC_METADATA({METADATA}:{SCENARIO})%")],
        clear_route_cache=True,
    )
    # One filter to enable, and to skip, instead of two.
    chain = {"filters": [read, choose]}
    wrapped = http_filter("", "filter_chain.v3.FilterChainConfig", default_filter_chain=chain)
    return {**wrapped, "name": NAME_FILTER}


def _state(text: str) -> Json:
    """Set the filter state to a text that is not empty."""
    return {
        "object_key": SCENARIO_STATE,
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": text}, "omit_empty_values": True},
        "skip_if_empty": True,
    }
