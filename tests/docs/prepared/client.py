"""The examples of docs/client.md: they talk to the server that DETOUR_SERVER names."""

from typing import Any

from detour.client import Client, NotFoundError


def names() -> dict[str, Any]:
    """Return what the examples take for given: nothing."""
    return {}


def check(names: dict[str, Any]) -> None:
    """Check what the server has, and what it said of what it does not have."""
    with Client.from_environment() as client:
        assert [one.name for one in client.list_deployments() if one.service == "users"] == ["pr-42"]
        assert client.get_scenario("checkout").overrides == {"route.users": "pr-42"}
    assert issubclass(names["NotFoundError"], NotFoundError)
