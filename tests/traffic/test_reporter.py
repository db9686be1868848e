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
    long = Node(id="a" * 254, cluster="b" * 64)
    assert reporter(long, "", Naming()) == Reporter("b" * 63, None, "a" * 253, "", is_edge=False)
    assert Reporter("users") == Reporter("users", None, "", "", False)
    assert Reporter("users").is_edge is False


def test_an_edge_is_in_no_namespace():
    """Whatever it says of itself, and whatever it is called."""
    node = Node(id="edge-1", cluster="not a name")
    node.metadata.update({"role": "edge", "namespace": "shop", "deployment": "pr-42"})
    assert reporter(node, "pay", Naming("shop")) == Reporter("edge", None, "edge-1", "", is_edge=True)


def test_a_namespace_that_is_no_name_is_refused():
    """Of the certificate as of the node; without one the service is the home namespace's."""
    node = Node(id="users-1", cluster="users")
    node.metadata.update({"namespace": "a b"})
    assert reporter(node, "", Naming("shop")) is None
    assert reporter(node, "pay", Naming("shop")) == Reporter("users.pay", None, "users-1", "pay")
    assert reporter(node, "a b", Naming("shop")) is None
