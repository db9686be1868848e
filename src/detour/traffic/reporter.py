"""The identity of an Envoy that reports, from its node (core v3, `Node`)."""

from dataclasses import dataclass
from typing import Final

from envoy.config.core.v3.base_pb2 import Node

from detour.mesh import Naming, is_name
from detour.mesh.model import NAME_MAX

EDGE: Final = "edge"
"""The role of edges, and their name as callers."""

_INSTANCE_MAX: Final = 253


@dataclass(frozen=True, slots=True)
class Reporter:
    """An Envoy that reports.

    Args:
        service: The service that it belongs to, by its name in the mesh, or `edge`.
        deployment: The offloaded deployment that it belongs to; None for the baseline, or if it is unknown.
        instance: Its node id.
        namespace: Its namespace, in Kubernetes.
        is_edge: Whether it is an edge.
    """

    service: str
    deployment: str | None = None
    instance: str = ""
    namespace: str = ""
    is_edge: bool = False


def reporter(node: Node, verified: str, naming: Naming) -> Reporter | None:
    """Return the identity of a node; None if the mesh cannot have such a node.

    Args:
        node: The node, as the Envoy describes it.
        verified: The namespace of its certificate; empty without mutual TLS.
        naming: Maps Services to names in the mesh.
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
