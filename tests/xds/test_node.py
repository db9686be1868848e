"""What a stream's first request says about its Envoy, and which requests are refused for what they say."""

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request

from detour.mesh import Endpoint
from detour.xds.node import Node, why_unusable


def request(**metadata: object) -> Request:
    """Return a first request with this metadata."""
    made = Request(type_url="type.test/Cluster")
    made.node.id, made.node.cluster = "users-1", "users"
    made.node.metadata.update(metadata)
    return made


def test_a_sidecar_describes_itself() -> None:
    """By its bootstrap."""
    node = Node.of(request(role="sidecar", namespace="shop", ports=[15000, 15001], version="0.1.0"))
    assert node == Node("users-1", "users", "sidecar", "shop", (15000, 15001), "0.1.0")
    assert not node.is_edge


def test_without_metadata_the_fields_are_empty() -> None:
    """Also where a value is not a text."""
    assert Node.of(Request()) == Node("", "", "", "", (), "")
    assert Node.of(request(role=7, namespace=["shop"])).role == ""
    assert Node.of(request(role="edge")).is_edge


@pytest.mark.parametrize(
    ("peer", "address"), [("ipv4:10.0.0.7:40000", "10.0.0.7"), ("ipv6:%5B::1%5D:40000", "::1")]
)
def test_its_listeners_are_on_the_address_of_its_stream(peer: str, address: str) -> None:
    """Whatever the port of the stream."""
    node = Node.of(request(ports=[15000, 15001]))
    assert node.listening(peer) == (Endpoint(address, 15000), Endpoint(address, 15001))


def test_invalid_addresses_and_ports_are_ignored() -> None:
    """And so are ports beyond the limit."""
    assert Node.of(request(ports=[15000])).listening("unix:/run/detour.sock") == ()
    for port in (0, float("inf"), float("nan")):
        assert Node.of(request(ports=[port])).listening("ipv4:10.0.0.7:40000") == ()
    assert len(Node.of(request(ports=[15000] * 17)).ports) == 16


def test_a_request_without_a_type_is_refused() -> None:
    """On an aggregated stream it would have no meaning."""
    expected = "a request on an aggregated stream must set type_url; this one does not"
    assert why_unusable(Request()) == expected


@pytest.mark.parametrize("field", ["type_url", "node.id", "node.cluster", "role", "namespace"])
def test_long_texts_are_refused(field: str) -> None:
    """The server would keep them as long as the stream."""
    for length, expected in ((512, ""), (513, f"{field} has more than 512 characters")):
        text = "x" * length
        made = request(**{field: text}) if field in {"role", "namespace"} else request()
        if field == "type_url":
            made.type_url = text
        elif "." in field:
            setattr(made.node, field.partition(".")[2], text)
        assert why_unusable(made) == expected
