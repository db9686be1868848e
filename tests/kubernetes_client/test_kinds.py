"""The kinds of objects, and where the API has them."""

import pytest

from detour.install.manifests import Choices, manifests
from detour.kubernetes.kinds import DEPLOYMENTS, NAMESPACES, PODS, WEBHOOKS, Kind, kind_of
from detour.kubernetes.objects import KubernetesObject


@pytest.mark.parametrize(
    ("kind", "place", "path"),
    [
        (PODS, ("shop",), "/api/v1/namespaces/shop/pods"),
        (PODS, ("shop", "users-1"), "/api/v1/namespaces/shop/pods/users-1"),
        (PODS, (), "/api/v1/pods"),
        (DEPLOYMENTS, ("shop", "users"), "/apis/apps/v1/namespaces/shop/deployments/users"),
        (NAMESPACES, ("", "shop"), "/api/v1/namespaces/shop"),
        (WEBHOOKS, ("shop", "detour"), f"/apis/{WEBHOOKS.api_version}/mutatingwebhookconfigurations/detour"),
        (PODS, ("a/b", "../secrets"), "/api/v1/namespaces/a%2Fb/pods/..%2Fsecrets"),
    ],
)
def test_paths(kind: Kind, place: tuple[str, ...], path: str) -> None:
    """Kubernetes API concepts, "Resource URIs"; no name leads to another path."""
    assert kind.path(*place) == path


def test_every_object_of_the_installation_has_a_kind_that_is_known() -> None:
    """Else `detour install` could not write it."""
    for one in manifests(Choices(["shop"], "detour", "detour:1")):
        kind = kind_of(one)
        assert kind.object(one["metadata"]) == {key: one[key] for key in ("apiVersion", "kind", "metadata")}
        assert kind.is_namespaced == ("namespace" in one["metadata"])


def test_an_unknown_kind_is_named() -> None:
    """It is a mistake in Detour."""
    with pytest.raises(ValueError, match="does not know the kind Deployment of apps/v1beta1"):
        kind_of({"apiVersion": "apps/v1beta1", "kind": "Deployment"})


def test_labels_select_by_value_or_by_being_there() -> None:
    """Kubernetes, "Labels and Selectors"."""
    reading = PODS.read_as(KubernetesObject).labelled({"app": "users", "detour.dev/offloaded": None, "empty": ""})
    assert reading.selector == "app=users,detour.dev/offloaded,empty="
