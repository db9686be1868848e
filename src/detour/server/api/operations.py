"""The names, groups and path parameters of operations."""

from enum import StrEnum
from typing import Annotated, Final

from fastapi import Path
from fastapi.routing import APIRoute


class Tag(StrEnum):
    """A group of operations; client generators turn each into a module or a class."""

    SERVICES = "services"
    DEPLOYMENTS = "deployments"
    SCENARIOS = "scenarios"
    OVERRIDES = "overrides"
    TRAFFIC = "traffic"
    CHANGES = "changes"
    IDENTITIES = "identities"
    SERVER = "server"


TAGS: Final = [
    {"name": Tag.SERVICES.value, "description": "The services of the mesh."},
    {"name": Tag.DEPLOYMENTS.value, "description": "Offloaded deployments, registered or copied in the cluster."},
    {"name": Tag.SCENARIOS.value, "description": "Named, stored and versioned sets of overrides."},
    {"name": Tag.OVERRIDES.value, "description": "Checking and signing overrides, and the kill switch."},
    {"name": Tag.TRAFFIC.value, "description": "Calls between services, and trials that show every hop."},
    {"name": Tag.CHANGES.value, "description": "The log of changes, and a stream of live events."},
    {"name": Tag.IDENTITIES.value, "description": "The caller, signing in, and API tokens."},
    {"name": Tag.SERVER.value, "description": "Health, state and metrics of the server."},
]
"""For FastAPI's `openapi_tags`."""

ServiceName = Annotated[str, Path(description="the service's name, such as `users`")]
DeploymentName = Annotated[str, Path(description="the deployment's name, such as `pr-42`")]


def operation_id(route: APIRoute) -> str:
    """Return an operation's id: the name of its handler, as `listServices`."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)
