"""The labels and annotations by which Detour knows its own objects in a cluster."""

from typing import Final

OFFLOADED: Final = "detour.dev/offloaded"
"""Label of pods, Deployments and EndpointSlices: the name of the offloaded deployment that they belong to."""

SERVICE: Final = "detour.dev/service"
"""Label beside it: the Service that it is a deployment of, in the same namespace."""

OWNER: Final = "detour.dev/owner"
COMMIT: Final = "detour.dev/commit"
EXPIRES: Final = "detour.dev/expires"
"""Annotations: who it belongs to, what it was built from, and when it is removed (ISO 8601, UTC)."""

COPY_OF: Final = "detour.dev/copy-of"
"""Annotation: the Deployment that it was copied from."""

ROLL: Final = "detour.dev/roll"
"""Annotation of a Deployment and of its pods: which creation or change of it they come from."""

KEEP: Final = "detour.dev/keep"
"""Annotation: it stays although it did not become Ready."""

SERVICE_OF_SLICE: Final = "kubernetes.io/service-name"
"""Label of an EndpointSlice (discovery/v1): the Service that it belongs to."""

WARNED: Final = "detour.dev/warned"
"""Annotation: of which end its owner has been warned."""
