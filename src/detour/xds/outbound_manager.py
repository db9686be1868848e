"""The connection manager of sidecars' outbound listeners (ECDS v3).

It is the bootstrap's connection manager, but with the route table instead of the routes that a sidecar uses without
a control plane (`detour.envoy.fail_open`). It does not depend on the mesh.
"""

from functools import cache

from envoy.config.core.v3 import extension_pb2
from envoy.config.route.v3 import route_components_pb2 as _route_components_pb2  # noqa: F401

# Not used by name: JSON that holds one of these as `Any` can't be read before its module is imported.
from envoy.extensions.access_loggers.grpc.v3 import als_pb2 as _als_pb2  # noqa: F401
from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import dynamic_forward_proxy_pb2 as _proxy_pb2  # noqa: F401
from envoy.extensions.filters.http.fault.v3 import fault_pb2 as _fault_pb2  # noqa: F401
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as _mutation_pb2  # noqa: F401
from envoy.extensions.filters.http.lua.v3 import lua_pb2 as _lua_pb2  # noqa: F401
from envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2 as _on_demand_pb2  # noqa: F401
from envoy.extensions.filters.http.router.v3 import router_pb2 as _router_pb2  # noqa: F401
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2 as _state_pb2  # noqa: F401
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as _manager_pb2,  # noqa: F401
)
from envoy.extensions.http.header_formatters.preserve_case.v3 import preserve_case_pb2 as _case_pb2  # noqa: F401
from google.protobuf.any_pb2 import Any
from google.protobuf.json_format import ParseDict

from detour.envoy.routing import outbound_manager as manager
from detour.envoy.vocabulary import OUTBOUND_MANAGERS


@cache
def outbound_manager(name: str) -> extension_pb2.TypedExtensionConfig | None:
    """Return the connection manager; None under any other name."""
    if name not in OUTBOUND_MANAGERS:
        return None
    config = ParseDict(manager()["typed_config"], Any())
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=config)
