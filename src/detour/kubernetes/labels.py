"""The labels and annotations that mark Detour's objects in a cluster."""

from typing import Final

OFFLOADED: Final = "detour.dev/offloaded"
"""Label of pods, Deployments and EndpointSlices: the name of the offloaded deployment that they belong to."""

SERVICE: Final = "detour.dev/service"
"""Label beside it: the Service that it is a deployment of, in the same namespace."""

OWNER: Final = "detour.dev/owner"
COMMIT: Final = "detour.dev/commit"
EXPIRES: Final = "detour.dev/expires"
"""Annotations: its owner, the commit it was built from, and when it expires (ISO 8601, UTC)."""

COPY_OF: Final = "detour.dev/copy-of"
"""Annotation: the Deployment that it was copied from, or `KIND/NAME` of another workload."""

ROLL: Final = "detour.dev/roll"
"""Annotation of a Deployment and of its pods: identifies the change that made them."""

KEEP: Final = "detour.dev/keep"
"""Annotation: do not remove it if it does not become Ready."""

SERVICE_OF_SLICE: Final = "kubernetes.io/service-name"
"""Label of an EndpointSlice (discovery/v1): the Service that it belongs to."""

WARNED: Final = "detour.dev/warned"
"""Annotation: the expiry that its owner has been warned about."""
