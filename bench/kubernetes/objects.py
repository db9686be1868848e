"""Kubernetes objects of the benches: as large as real ones, where that matters."""

from typing import Any, Final

from detour.kubernetes.labels import OFFLOADED, SERVICE

Json = dict[str, Any]

PORT: Final = 8080
"""Where instances listen."""

ELSEWHERE: Final = "elsewhere"
"""A node whose pods no kubelet takes. It has to be there: else its pods get into no EndpointSlice."""

_SINCE: Final = "2026-01-01T00:00:00Z"


def service(name: str) -> Json:
    """Return a Service that selects the pods labelled `app: NAME`."""
    ports = [{"name": "http", "port": 80, "targetPort": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def pod(name: str, labels: Json, image: str = "registry.example/users:4f2a9c1") -> Json:
    """Return a pod of another node."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": ELSEWHERE, "containers": [_container(image)], "terminationGracePeriodSeconds": 30},
    }


def offloaded(service: str, deployment: str) -> dict[str, str]:
    """Return the labels of an offloaded pod that the Service's selector matches as well: the worst ones."""
    return {"app": service, SERVICE: service, OFFLOADED: deployment}


def status(address: str, *, ready: bool) -> Json:
    """Return what a kubelet writes of a running pod."""
    said = "True" if ready else "False"
    kinds = ("PodReadyToStartContainers", "Initialized", "PodScheduled")
    always = [{"type": kind, "status": "True", "lastTransitionTime": _SINCE} for kind in kinds]
    now = [{"type": kind, "status": said, "lastTransitionTime": _SINCE} for kind in ("Ready", "ContainersReady")]
    container = {
        "name": "app",
        "ready": ready,
        "started": True,
        "restartCount": 0,
        "image": "registry.example/users:4f2a9c1",
        "imageID": "registry.example/users@sha256:" + 64 * "4",
        "containerID": "containerd://" + 64 * "7",
        "state": {"running": {"startedAt": _SINCE}},
    }
    return {
        "status": {
            "phase": "Running",
            "hostIP": "10.0.0.7",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "qosClass": "Burstable",
            "startTime": _SINCE,
            "conditions": [*always, *now],
            "containerStatuses": [container],
        }
    }


def _container(image: str) -> Json:
    probe = {"httpGet": {"path": "/healthz", "port": "web"}, "periodSeconds": 5, "timeoutSeconds": 1}
    reference = {"configMapKeyRef": {"name": "settings", "key": "region"}}
    secret = {"secretKeyRef": {"name": "database", "key": "url"}}
    plain = {"LOG_LEVEL": "info", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "HTTP_PROXY": ""}
    return {
        "name": "app",
        "image": image,
        "ports": [{"name": "web", "containerPort": PORT}],
        "env": [
            *({"name": name, "value": value} for name, value in plain.items()),
            {"name": "REGION", "valueFrom": reference},
            {"name": "DATABASE_URL", "valueFrom": secret},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "periodSeconds": 10},
    }
