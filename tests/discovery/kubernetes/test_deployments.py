"""From the objects of offloaded deployments to the deployments of one service."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec import convert

from detour.discovery.kubernetes.deployments import deployments_of
from detour.discovery.kubernetes.objects import Deployment, EndpointSlice, Pod, Service
from detour.mesh import Endpoint, OffloadedDeployment
from kubernetes_objects import deployment, endpoint_slice, pod, service

USERS = convert(service("users", {"name": "web", "port": 80, "targetPort": 8080}, {"port": 90}), Service)


def offloaded(name: str = "pr-42") -> dict[str, Any]:
    """Return labels of an offloaded object, for keywords."""
    return {"detour_offloaded": name, "detour_service": "users"}


def made(*objects: Any, of: Service | None = USERS) -> dict[str, OffloadedDeployment]:
    """Build deployments of users; there must be no mistakes."""
    found = deployments_of("users", of, objects)
    assert found.problems == []
    return found.made()


def test_a_deployment_of_several_pods() -> None:
    """Each port has its own endpoints, sorted; the first port's are the main ones; unready pods have none."""
    pods = [
        convert(pod(name, address, ready=ready, **offloaded()), Pod)
        for name, address, ready in (("b", "10.0.0.2", True), ("a", "10.0.0.1", True), ("c", "10.0.0.3", False))
    ]
    other = convert(pod("d", "10.0.0.4", **offloaded("pr-7")), Pod)
    found = made(*pods, other)
    assert list(found) == ["pr-42", "pr-7"]
    assert found["pr-42"] == OffloadedDeployment(
        "users",
        "pr-42",
        (Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.2", 8080)),
        ports={
            80: (Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.2", 8080)),
            90: (Endpoint("10.0.0.1", 90), Endpoint("10.0.0.2", 90)),
        },
    )
    assert found["pr-7"].ports == {80: (Endpoint("10.0.0.4", 8080),), 90: (Endpoint("10.0.0.4", 90),)}
    assert made(pods[2])["pr-42"] == OffloadedDeployment("users", "pr-42", (), ports={80: (), 90: ()})
    assert made(pods[0], of=None)["pr-42"] == OffloadedDeployment("users", "pr-42", ())


def registered(*endpoints: dict[str, Any], name: str = "pr-42", ports: list[Any] | None = None) -> EndpointSlice:
    """Return a slice of registered endpoints."""
    one = endpoint_slice("users", *endpoints, port=1234)
    one["metadata"]["labels"] = {"detour.dev/offloaded": name, "detour.dev/service": "users"}
    return convert({**one, "ports": one["ports"] if ports is None else ports}, EndpointSlice)


def test_registered_endpoints() -> None:
    """Serve every port unless they are not ready; they win over those of pods, port by port."""
    at = {"addresses": ["10.9.0.2", "10.9.0.3"]}, {"addresses": ["10.9.0.1"], "conditions": {"ready": True}}
    gone = {"addresses": ["10.9.0.4"], "conditions": {"ready": False}}
    whole = (Endpoint("10.9.0.1", 1234), Endpoint("10.9.0.2", 1234))
    assert made(registered(*at, gone))["pr-42"] == OffloadedDeployment("users", "pr-42", whole)
    beside = convert(pod("a", "10.0.0.1", **offloaded()), Pod)
    assert made(registered(*at), beside)["pr-42"] == OffloadedDeployment("users", "pr-42", whole)
    two = registered(at[1], ports=[{"port": 1}, {"name": "none"}, {"port": 2}])
    assert made(two)["pr-42"].endpoints == (Endpoint("10.9.0.1", 1), Endpoint("10.9.0.1", 2))
    for empty in (registered(), registered(*at, ports=[]), registered(gone)):
        assert made(empty)["pr-42"] == OffloadedDeployment("users", "pr-42", ())


def test_the_owner_and_the_expiry() -> None:
    """Come from the Deployment where there is one, whatever the order."""
    annotated = convert(deployment("a", "users", "pr-42", owner="ana", expires="2030-01-01T12:00:00Z"), Deployment)
    one = pod("a", "10.0.0.1", **offloaded())
    one["metadata"]["annotations"] = {"detour.dev/owner": "bo"}
    alone = convert(one, Pod)
    expected = ("ana", datetime(2030, 1, 1, 12, tzinfo=UTC))
    for objects in ((annotated, alone), (alone, annotated)):
        found = made(*objects)["pr-42"]
        assert (found.owner, found.expires) == expected
        assert found.endpoints == (Endpoint("10.0.0.1", 8080),)
    assert (made(alone)["pr-42"].owner, made(alone)["pr-42"].expires) == ("bo", None)


@pytest.mark.parametrize(
    ("text", "expires"),
    [
        ("2030-01-01T12:00:00", datetime(2030, 1, 1, 12, tzinfo=UTC)),
        ("2030-01-01T12:00:00+00:00", datetime(2030, 1, 1, 12, tzinfo=UTC)),
        ("2030-01-01T12:00:00+02:00", datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))),
        ("", None),
    ],
)
def test_notations_of_an_expiry(text: str, expires: datetime | None) -> None:
    """A time without a zone is in UTC; one with a zone stays that moment."""
    found = made(convert(deployment("a", "users", "pr-42", expires=text), Deployment))["pr-42"].expires
    assert found == expires
    assert (found.tzinfo if found else None) == (expires.tzinfo if expires else None)


def test_what_outlives_its_deployment() -> None:
    """Neither a Deployment nor a pod that ends; nor a pod that Detour made, once its Deployment ends or is gone."""
    there = deployment("a", "users", "pr-42")
    ending = deployment("a", "users", "pr-42")
    ending["metadata"]["deletionTimestamp"] = "2030"
    own = pod("a", "10.0.0.1", **offloaded())
    of_detour = pod("b", "10.0.0.2", **offloaded())
    of_detour["metadata"]["annotations"] = {"detour.dev/roll": "1"}
    leaving = pod("c", "10.0.0.3", **offloaded())
    leaving["metadata"]["deletionTimestamp"] = "2030"
    other = deployment("d", "users", "pr-7")

    def addresses(*objects: dict[str, Any]) -> dict[str, list[str]]:
        read = [convert(one, Pod if "status" in one else Deployment) for one in objects]
        return {name: [at.address for at in one.endpoints] for name, one in made(*read).items()}

    assert addresses(ending) == {}
    assert addresses(leaving) == {}
    assert addresses(of_detour) == {}
    assert addresses(of_detour, ending) == {}
    assert addresses(of_detour, other) == {"pr-7": []}
    assert addresses(own) == addresses(own, ending) == {"pr-42": ["10.0.0.1"]}
    assert addresses(of_detour, own, leaving, there) == {"pr-42": ["10.0.0.1", "10.0.0.2"]}


def test_mistakes_in_full() -> None:
    """Each names its object; the others are built."""
    named = convert(service("users", {"port": 80, "targetPort": "api"}, {"port": 90, "targetPort": "web"}), Service)
    nameless = [
        convert(pod("odd", "10.0.0.1", **offloaded("")), Pod),
        convert(deployment("odd", "users", "a b"), Deployment),
        registered(name="-"),
    ]
    late = convert(deployment("late", "users", "pr-7", expires="soon"), Deployment)
    without = convert(pod("a", "10.0.0.2", **offloaded()), Pod)
    found = deployments_of("users", named, [*nameless, late, without])
    built = found.made()
    label = "has the label detour.dev/offloaded without a valid name: it is ignored"
    assert found.problems == [
        f"Pod shop/odd {label}",
        f"Deployment shop/odd {label}",
        f"EndpointSlice shop/users-abcde {label}",
        "Pod shop/a of users declares no port named api, the target port of the Service",
        "shop/late has 'soon' as detour.dev/expires, which is not a date and time: it never expires",
    ]
    assert list(built) == ["pr-42", "pr-7"]
    assert built["pr-7"].expires is None
    assert built["pr-42"].ports == {80: (), 90: (Endpoint("10.0.0.2", 8080),)}


def test_registered_endpoints_without_anything() -> None:
    """Null stands for nothing, in both lists; the deployment exists."""
    for missing in ("endpoints", "ports"):
        one = endpoint_slice("users", {"addresses": ["10.9.0.1"]}, port=1234)
        one["metadata"]["labels"] = {"detour.dev/offloaded": "pr-42", "detour.dev/service": "users"}
        read = convert({**one, missing: None}, EndpointSlice)
        assert made(read)["pr-42"] == OffloadedDeployment("users", "pr-42", ())


def test_what_stands_behind_an_object_that_ends_counts() -> None:
    """In any order."""
    ending = pod("a", "10.0.0.1", **offloaded())
    ending["metadata"]["deletionTimestamp"] = "2030"
    gone = deployment("b", "users", "pr-1")
    gone["metadata"]["deletionTimestamp"] = "2030"
    last = pod("c", "10.0.0.2", **offloaded())
    found = made(convert(ending, Pod), convert(gone, Deployment), convert(last, Pod))
    assert {name: one.endpoints for name, one in found.items()} == {"pr-42": (Endpoint("10.0.0.2", 8080),)}
