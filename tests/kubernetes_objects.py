"""Kubernetes objects for tests, as the API gives them, no larger than needed."""

from typing import Any

Json = dict[str, Any]


def service(name: str = "users", *ports: Json, namespace: str = "shop", **spec: Any) -> Json:
    """Return a Service that selects the pods labelled `app: NAME`, by default on port 80 to 8080."""
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"app": name},
            "ipFamilies": ["IPv4"],
            "ports": list(ports) or [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **spec,
        },
    }


def pod(
    name: str, address: str, *, ready: bool = True, namespace: str = "shop", uid: str = "", **labels: str
) -> Json:
    """Return a pod; underscores in names of labels stand for the prefix `detour.dev/`."""
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{name}",
            "labels": {key.replace("detour_", "detour.dev/"): value for key, value in labels.items()},
        },
        "spec": {"containers": [{"name": "app", "ports": [{"name": "web", "containerPort": 8080}]}]},
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def endpoint(pod: Json, *, ready: bool | None = True) -> Json:
    """Return the endpoint of a pod in a slice."""
    metadata = pod["metadata"]
    reference = {key: metadata[key] for key in ("name", "namespace", "uid")}
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {} if ready is None else {"ready": ready},
        "targetRef": {"kind": "Pod", **reference},
    }


def endpoint_slice(
    service: str, *endpoints: Json, port: int = 8080, port_name: str = "", namespace: str = "shop", name: str = ""
) -> Json:
    """Return an EndpointSlice of a Service."""
    return {
        "metadata": {
            "name": name or f"{service}-abcde",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
    }


def deployment(name: str, service: str, offloaded: str, *, namespace: str = "shop", **annotations: str) -> Json:
    """Return an offloaded Deployment; annotations are given without their prefix `detour.dev/`."""
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"detour.dev/offloaded": offloaded, "detour.dev/service": service},
            "annotations": {f"detour.dev/{key}": value for key, value in annotations.items()},
        }
    }
