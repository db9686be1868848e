"""What an edge has to know before it starts: whom it believes."""

import pytest
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from google.protobuf.struct_pb2 import Struct

from detour.mesh import Mesh, Settings, TrustedProxies
from detour.xds.edge.settings import edge_settings, trusted_proxies
from detour.xds.messages import packed


@pytest.mark.parametrize(
    "proxies",
    [
        TrustedProxies(),
        TrustedProxies(hops=2),
        TrustedProxies(("10.0.0.0/8", "fd00::/8")),
        TrustedProxies(("10.1.2.3/32",)),
    ],
)
def test_what_a_mesh_says_is_what_an_edge_reads(proxies: TrustedProxies) -> None:
    """Hops or networks, or neither."""
    made = edge_settings("edge-settings", Mesh.of(settings=Settings(edge_trusted_proxies=proxies)))
    assert made.name == "edge-settings"
    assert trusted_proxies(made) == proxies


def test_there_are_none_under_another_name() -> None:
    """Such as a filter's."""
    assert edge_settings("other", Mesh()) is None


def test_settings_of_a_server_that_knows_no_proxies() -> None:
    """An older one sends none."""
    assert trusted_proxies(TypedExtensionConfig(typed_config=packed(Struct()))) == TrustedProxies()
