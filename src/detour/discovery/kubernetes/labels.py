"""The labels and annotations by which Detour knows its own objects in a cluster."""

from typing import Final

OFFLOADED: Final = "detour.dev/offloaded"
"""Label of pods, Deployments and EndpointSlices: the name of the offloaded deployment that they belong to."""

SERVICE: Final = "detour.dev/service"
"""Label beside it: the Service that it is a deployment of, in the same namespace."""

OWNER: Final = "detour.dev/owner"
EXPIRES: Final = "detour.dev/expires"
"""Annotations: who it belongs to, and when it is removed (ISO 8601, UTC)."""

SERVICE_OF_SLICE: Final = "kubernetes.io/service-name"
