"""From a Service and its slices to a service of the mesh."""

from typing import Any

import pytest
from msgspec import convert

from detour.discovery.kubernetes.objects import EndpointSlice, Service
from detour.discovery.kubernetes.services import endpoints_of, service_of, why_not
from detour.mesh import Endpoint
from kubernetes_objects import endpoint_slice, service


def read(*ports: dict[str, Any], **spec: Any) -> Service:
    """Return the Service users."""
    return convert(service("users", *ports, **spec), Service)


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("users", read(), ""),
        ("u" * 63, read(), ""),
        (
            "users",
            read(type="ExternalName", externalName="db.test"),
            "is an ExternalName: calls to it leave the mesh for db.test, and cannot be overridden",
        ),
        (
            "users",
            read(ports=[]),
            "has no TCP port: no call to it passes a sidecar, and none can be overridden",
        ),
        (
            "u" * 64,
            read(),
            f"would be called {'u' * 64}, which is longer than 63 characters: give it a shorter name",
        ),
    ],
)
def test_why_a_service_cannot_be_part_of_the_mesh(name: str, given: Service, why: str) -> None:
    """The whole reason; empty for a service that can be part of it."""
    assert why_not(name, given) == (f"Service shop/users {why}" if why else "")


def slice_of(*addresses: str, family: str = "IPv4", **more: Any) -> EndpointSlice:
    """Return a slice with an endpoint for each address, at port 8080."""
    made = endpoint_slice("users", *({"addresses": [address]} for address in addresses))
    return convert({**made, "addressType": family, **more}, EndpointSlice)


def served(given: Service, *slices: EndpointSlice) -> list[str]:
    """Return where the main port of users is."""
    return [str(one) for one in service_of("users", given, slices, lambda _: True).endpoints]


def test_families_of_addresses() -> None:
    """The first of the Service counts; where it names none, both do, and names of hosts never."""
    slices = (
        slice_of("10.0.0.1"),
        slice_of("fd00::1", family="IPv6"),
        slice_of("10.0.0.2", family="FQDN"),
    )
    assert served(read(ipFamilies=["IPv4", "IPv6"]), *slices) == ["10.0.0.1:8080"]
    assert served(read(ipFamilies=["IPv6"]), *slices) == ["[fd00::1]:8080"]
    assert sorted(served(read(ipFamilies=[]), *slices)) == ["10.0.0.1:8080", "[fd00::1]:8080"]


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([{"port": 1}], ["10.0.0.1:1"]),
        ([{"name": None, "port": 1}, {"name": "", "port": 2}], ["10.0.0.1:1", "10.0.0.1:2"]),
        ([{"name": "other", "port": 1}], []),
        ([{"port": 1, "protocol": "UDP"}, {"port": 2, "protocol": "TCP"}], ["10.0.0.1:2"]),
        ([{"name": ""}, {"port": 3}], ["10.0.0.1:3"]),
        ([], []),
    ],
)
def test_ports_of_a_slice(ports: list[dict[str, Any]], expected: list[str]) -> None:
    """Those with the name of the Service's port, or without a name where that has none; UDP is another protocol."""
    assert served(read(), slice_of("10.0.0.1", ports=ports)) == expected


def test_slices_that_say_little() -> None:
    """Null stands for nothing."""
    assert served(read(), slice_of("10.0.0.1", endpoints=None), slice_of("10.0.0.2", ports=None)) == []
    several = slice_of(endpoints=[{"addresses": ["10.0.0.1", "10.0.0.2"]}, {"addresses": []}])
    assert served(read(), several) == ["10.0.0.1:8080"]


def test_what_is_no_address_is_left_out() -> None:
    """The others stay, in their order."""
    assert endpoints_of(["10.0.0.2", "users.test", "", "fd00::1"], 80) == [
        Endpoint("10.0.0.2", 80),
        Endpoint("fd00::1", 80),
    ]
