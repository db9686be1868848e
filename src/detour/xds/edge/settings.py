"""The mesh settings that an edge needs before it starts (ECDS v3, as plain data).

The list of trusted proxies is part of the edge's listener, which is fixed at its start. `detour edge` therefore
requests these settings first.
"""

from typing import Final

from envoy.config.core.v3 import extension_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from detour.mesh import Mesh, TrustedProxies
from detour.xds.messages import packed

EDGE_SETTINGS: Final = "edge-settings"
"""The resource's name."""

_PROXIES: Final = "trusted_proxies"


def edge_settings(name: str, mesh: Mesh) -> extension_pb2.TypedExtensionConfig | None:
    """Return the settings; None for any other name."""
    if name != EDGE_SETTINGS:
        return None
    values = Struct()
    proxies = mesh.settings.edge_trusted_proxies
    values.update({_PROXIES: [str(proxies.hops)] if proxies.hops else list(proxies.networks)})
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(values))


def trusted_proxies(settings: extension_pb2.TypedExtensionConfig) -> TrustedProxies:
    """Return the proxies in front of the edges that the mesh trusts."""
    values = Struct()
    settings.typed_config.Unpack(values)
    items = MessageToDict(values).get(_PROXIES, ())
    return TrustedProxies.parse(items) if items else TrustedProxies()
