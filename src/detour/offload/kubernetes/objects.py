"""The kinds of objects that offloading works with, as plain JSON: nothing that an object has is lost on the way."""

from typing import Final

from lightkube.generic_resource import create_namespaced_resource

DEPLOYMENT: Final = create_namespaced_resource("apps", "v1", "Deployment", "deployments")
REPLICA_SET: Final = create_namespaced_resource("apps", "v1", "ReplicaSet", "replicasets")
POD: Final = create_namespaced_resource("", "v1", "Pod", "pods")
SERVICE: Final = create_namespaced_resource("", "v1", "Service", "services")
EVENT: Final = create_namespaced_resource("", "v1", "Event", "events")
SLICE: Final = create_namespaced_resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
