"""Who reports: what an Envoy's node says of it (core v3, `Node`)."""

from dataclasses import dataclass
from typing import Final

from envoy.config.core.v3.base_pb2 import Node

from detour.mesh import Naming, is_name
from detour.mesh.model import NAME_MAX

EDGE: Final = "edge"
"""The role of edges, and what they are called as callers."""

_INSTANCE_MAX: Final = 253


@dataclass(frozen=True, slots=True)
class Reporter:
    """An Envoy that reports.

    Args:
        service: The service that it is beside, by its name in the mesh, or `edge`.
        deployment: The offloaded deployment that it is part of; None for the baseline, and where nobody said.
        instance: Its node id.
        namespace: The namespace that it is in, where there are any.
        is_edge: Whether it is an edge.
    """

    service: str
    deployment: str | None = None
    instance: str = ""
    namespace: str = ""
    is_edge: bool = False


def reporter(node: Node, verified: str, naming: Naming) -> Reporter | None:
    """Return who a node is; None if that is nobody whom the mesh could have.

    Args:
        node: What it says of itself.
        verified: The namespace that its certificate speaks for; empty where none is asked for.
        naming: What its service is called in the mesh.
    """
    said = {key: value.string_value for key, value in node.metadata.fields.items()}
    instance = node.id[:_INSTANCE_MAX]
    if said.get("role") == EDGE:
        return Reporter(EDGE, None, instance, "", is_edge=True)
    namespace, deployment = verified or said.get("namespace", ""), said.get("deployment", "")
    name = node.cluster[:NAME_MAX]
    if not is_name(name) or (namespace and not is_name(namespace)):
        return None
    service = naming.name(name, namespace)
    return Reporter(service, deployment if is_name(deployment) else None, instance, namespace)
