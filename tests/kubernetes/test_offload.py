"""Offloaded deployments from end to end: a real API server, pods that really run, real Envoys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubernetes.cluster import Cluster
from kubernetes.shop import REGISTRY, Shop, open_shop


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Open a shop for all tests of this module."""
    with cluster.namespace() as namespace, open_shop(cluster, namespace, tmp_path_factory.mktemp("shop")) as opened:
        yield opened


def test_from_create_to_rm(shop: Shop) -> None:
    """A request that names it reaches it once it is created, and none does once it is removed."""
    assert shop.version("pr-42") == "503"
    done = shop.detour("offload", "create", "users", "pr-42", "--image", f"{REGISTRY}:2", "--env", "COLOUR=blue")
    assert (done.returncode, done.stdout) == (
        0,
        "users@pr-42 is Ready. Send a request there with the header\n  baggage: override.route.users=pr-42\n",
    ), done
    answer = shop.call("pr-42")
    assert answer.json()["version"] == "2"
    assert answer.json()["env"]["COLOUR"] == "blue"
    assert answer.headers["x-detour-served-by"] == "users@pr-42"
    assert shop.version() == "1"
    done = shop.detour("offload", "rm", "users", "pr-42")
    assert (done.returncode, done.stdout) == (0, "users@pr-42 is gone\n")
    assert shop.version("pr-42") == "503"
    assert shop.version() == "1"


def test_creating_it_again_rolls_it(shop: Shop) -> None:
    """To another image, without a moment in which nobody answers."""
    assert shop.detour("offload", "create", "users", "roll", "--image", f"{REGISTRY}:2").returncode == 0
    assert shop.version("roll") == "2"
    assert shop.detour("offload", "create", "users", "roll", "--image", f"{REGISTRY}:3").returncode == 0
    shop.until(lambda: shop.version("roll") == "3")
    assert shop.detour("offload", "rm", "users", "roll").returncode == 0


@pytest.mark.parametrize(
    ("image", "reason", "said"),
    [
        ("nowhere", "app: the image cannot be pulled", "Failed: "),
        ("crash", "app: the container ends again and again, last with exit status 3", "cannot find its database"),
    ],
)
def test_what_does_not_become_ready_says_why_and_leaves_nothing(
    shop: Shop, image: str, reason: str, said: str
) -> None:
    """The reason, what Kubernetes says and the last lines of its log."""
    done = shop.detour("offload", "create", "users", "broken", "--image", f"{REGISTRY}:{image}")
    assert done.returncode == 1
    assert f"users@broken has failed. {reason}" in done.stderr
    assert said in done.stderr
    assert "Nothing is left of it: it was removed" in done.stderr
    assert shop.endpoints("broken") is None


def test_a_roll_that_fails_leaves_the_one_before(shop: Shop) -> None:
    """Which went on serving all the while."""
    assert shop.detour("offload", "create", "users", "back", "--image", f"{REGISTRY}:2").returncode == 0
    done = shop.detour("offload", "create", "users", "back", "--image", f"{REGISTRY}:crash")
    assert done.returncode == 1
    assert "the one before is back" in done.stderr
    assert shop.version("back") == "2"
    done = shop.detour("offload", "create", "users", "back", "--image", f"{REGISTRY}:nowhere", "--keep")
    assert "left as it is (--keep)" in done.stderr
    assert shop.version("back") == "2"
    assert shop.detour("offload", "rm", "users", "back").returncode == 0


def test_no_room_is_told(shop: Shop) -> None:
    """It may come; who waits no longer is told what for."""
    arguments = (
        "offload",
        "create",
        "users",
        "large",
        "--image",
        f"{REGISTRY}:2",
        "--replicas",
        "3",
        "--timeout",
        "3s",
    )
    done = shop.detour(*arguments, "--command", "sleep 1000")
    assert done.returncode == 1
    assert "users@large has failed. not Ready within 0:00:03: " in done.stderr
    assert shop.endpoints("large") is None
