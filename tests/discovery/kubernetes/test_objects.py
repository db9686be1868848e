"""What discovery reads from Kubernetes objects, and what it assumes where they are silent."""

from typing import Any

import pytest
from msgspec import convert, to_builtins

from detour.discovery.kubernetes.objects import (
    Conditions,
    Container,
    ContainerPort,
    Deployment,
    EndpointSlice,
    Pod,
    PodCondition,
    PodIp,
    PodSpec,
    PodStatus,
    Reference,
    Service,
    ServicePort,
    ServiceSpec,
    SliceEndpoint,
    SlicePort,
)

NAMED = {"metadata": {"name": "a"}}
METADATA = {
    "name": "a",
    "namespace": "",
    "uid": "",
    "resourceVersion": "",
    "labels": None,
    "annotations": None,
    "deletionTimestamp": None,
}

SILENT: list[tuple[type, dict[str, Any], dict[str, Any]]] = [
    (
        ServicePort,
        {"port": 80},
        {"port": 80, "name": "", "protocol": "TCP", "appProtocol": None, "targetPort": None},
    ),
    (
        ServiceSpec,
        {},
        {
            "type": "ClusterIP",
            "selector": None,
            "ports": (),
            "ipFamilies": (),
            "externalName": "",
            "publishNotReadyAddresses": False,
            "clusterIP": "",
        },
    ),
    (Conditions, {}, {"ready": None}),
    (Reference, {}, {"kind": "", "name": "", "namespace": "", "uid": ""}),
    (SliceEndpoint, {}, {"addresses": (), "conditions": {"ready": None}, "targetRef": None}),
    (SlicePort, {}, {"name": None, "port": None, "protocol": None}),
    (EndpointSlice, NAMED, {"metadata": METADATA, "addressType": "IPv4", "endpoints": (), "ports": ()}),
    (ContainerPort, {"containerPort": 80}, {"containerPort": 80, "name": "", "protocol": "TCP"}),
    (Container, {}, {"ports": ()}),
    (PodSpec, {}, {"containers": (), "initContainers": ()}),
    (PodCondition, {"type": "Ready", "status": "True"}, {"type": "Ready", "status": "True"}),
    (PodIp, {}, {"ip": ""}),
    (PodStatus, {}, {"podIP": "", "podIPs": (), "conditions": ()}),
    (
        Pod,
        NAMED,
        {
            "metadata": METADATA,
            "spec": {"containers": (), "initContainers": ()},
            "status": {"podIP": "", "podIPs": (), "conditions": ()},
        },
    ),
    (Deployment, NAMED, {"metadata": METADATA}),
]


@pytest.mark.parametrize(("kind", "given", "read"), SILENT, ids=[one[0].__name__ for one in SILENT])
def test_objects_that_say_little(kind: type, given: dict[str, Any], read: dict[str, Any]) -> None:
    """Field by field, under Kubernetes' names; what was read never changes."""
    made = convert(given, kind)
    assert to_builtins(made) == read
    with pytest.raises(AttributeError):
        setattr(made, made.__struct_fields__[0], None)


def test_a_service_without_a_spec() -> None:
    """Has the spec of one that says nothing."""
    assert to_builtins(convert(NAMED, Service))["spec"] == SILENT[1][2]
    with pytest.raises(AttributeError):
        convert(NAMED, Service).spec = ServiceSpec()


def pod(**status: Any) -> Pod:
    """Return a pod with a status."""
    return convert({**NAMED, "status": status}, Pod)


@pytest.mark.parametrize(
    ("status", "addresses"),
    [
        ({}, ()),
        ({"podIP": ""}, ()),
        ({"podIP": "10.0.0.1"}, ("10.0.0.1",)),
        ({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, ("10.0.0.1", "fd00::1")),
        ({"podIP": "fd00::1", "podIPs": [{"ip": "10.0.0.1"}, {}, {"ip": "fd00::1"}]}, ("fd00::1", "10.0.0.1")),
    ],
)
def test_the_addresses_of_a_pod(status: dict[str, Any], addresses: tuple[str, ...]) -> None:
    """Each once, the main one first."""
    assert pod(**status).addresses == addresses


@pytest.mark.parametrize(
    ("conditions", "is_ready"),
    [
        ([], False),
        ([{"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready", "status": "False"}], False),
        ([{"type": "Initialized", "status": "True"}], False),
        ([{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}], True),
        ([{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "Unknown"}], False),
    ],
)
def test_when_a_pod_is_ready(conditions: list[dict[str, str]], is_ready: bool) -> None:
    """By one condition of several, and until its deletion begins."""
    status = {"conditions": conditions}
    assert pod(**status).is_ready is is_ready
    ending = convert({"metadata": {"name": "a", "deletionTimestamp": "2030"}, "status": status}, Pod)
    assert ending.is_ready is False


def test_the_ports_of_a_pod() -> None:
    """By name, in any of its containers; of two with one name the first counts."""
    ports = [{"name": "web", "containerPort": 1}, {"name": "grpc", "containerPort": 2}]
    spec = {
        "containers": [{}, {"ports": ports}, {"ports": [{"name": "web", "containerPort": 3}]}],
        "initContainers": [{"ports": [{"name": "late", "containerPort": 4}, {"containerPort": 5}]}],
    }
    made = convert({**NAMED, "spec": spec}, Pod)
    assert [made.port(name) for name in ("web", "grpc", "late", "nosuch")] == [1, 2, 4, None]


def test_pods_that_detour_made() -> None:
    """Have the mark of a change."""
    assert convert({"metadata": {"name": "a", "annotations": {"detour.dev/roll": "1"}}}, Pod).is_made is True
    assert convert({"metadata": {"name": "a", "annotations": {"detour.dev/owner": "ana"}}}, Pod).is_made is False
