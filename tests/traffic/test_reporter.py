"""Which Envoy reports."""

from envoy.config.core.v3.base_pb2 import Node

from detour.mesh import Naming
from detour.traffic.reporter import Reporter, reporter


def test_who_reports():
    """Is named as in the mesh; a certificate's namespace counts for more than what a node says."""
    node = Node(id="users-1", cluster="users")
    assert reporter(node, "", Naming()) == Reporter("users", None, "users-1")
    node.metadata.update({"role": "sidecar", "namespace": "shop", "deployment": "pr-42"})
    assert reporter(node, "pay", Naming("shop")) == Reporter("users.pay", "pr-42", "users-1", "pay")
    assert reporter(node, "", Naming("shop")) == Reporter("users", "pr-42", "users-1", "shop")
    node.metadata.update({"deployment": "<b>", "role": 7})
    assert reporter(node, "", Naming("shop")) == Reporter("users", None, "users-1", "shop")
    node.metadata.update({"role": "edge"})
    assert reporter(node, "", Naming("shop")) == Reporter("edge", None, "users-1", "", is_edge=True)
    for cluster, namespace in (("", ""), ("a b", ""), ("users", "\n")):
        assert reporter(Node(cluster=cluster), namespace, Naming("shop")) is None
    assert len(reporter(Node(id="a" * 10_000, cluster="a" * 10_000), "", Naming()).service) == 63
