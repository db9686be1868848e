"""The containers that injection adds to a pod, and the volume that they need, as Kubernetes' JSON (core/v1).

Invariant: stock images, whose arguments hold their whole configuration; the sidecar runs as a user without rights,
on a read-only file system.

Kubernetes replaces `$(POD_NAME)` and similar variables in arguments; every other `$(` is escaped.
"""

import json
from typing import Final

from detour.envoy.bootstrap import Sidecar, sidecar_bootstrap
from detour.envoy.identity import ClientTls, sds_files
from detour.injection.plan import SIDECAR, SIDECAR_UID, Json, Plan
from detour.injection.settings import InjectionSettings, Mode

OUTBOUND_PORT: Final = 15001
ADMIN_PORT: Final = 15000
PROBE_PORT: Final = 15003

TLS_VOLUME: Final = "detour-tls"
REDIRECT: Final = "detour-redirect"

_TLS_FOLDER: Final = "/etc/detour/tls"
_SDS_ANNOTATION: Final = "detour.dev/sds-"
_STARTUP_SECONDS: Final = 60

_HOLD: Final = f"""\
for attempt in {{1..{_STARTUP_SECONDS * 5}}}; do
  (exec 3<>/dev/tcp/$POD_IP/{PROBE_PORT}) 2>/dev/null && exit 0
  sleep 0.2
done
exit 1
"""
"""Waits until Envoy is live. The kubelet starts the next container only once this has ended (container lifecycle
hooks, "Hook handler execution"), and starts this one again if it fails."""

_LAST: Final = f"""\
in_use() {{
  while read -r _ _ _ state _ _ _ user _; do
    [[ $user != {SIDECAR_UID} && $state =~ ^(01|02|03|08|0A)$ ]] && return 0
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
  return 1
}}
while in_use; do sleep 0.2; done
"""
"""Waits until only Envoy has TCP sockets that listen or are connected: the application has ended, or no longer
needs the network. The pod's grace period is the limit. The fourth field is the state, the eighth the user (kernel
documentation, "proc_net_tcp")."""


def sidecar_container(service: str, deployment: str, chosen: Plan, settings: InjectionSettings) -> Json:
    """Return the sidecar's container.

    Args:
        service: The service that the pod belongs to.
        deployment: The offloaded deployment that it is part of; empty for the baseline.
        chosen: The decision about the pod.
        settings: The settings of injected sidecars.
    """
    lifecycle = {
        "postStart": {"exec": {"command": ["bash", "-c", _HOLD]}},
        "preStop": {"exec": {"command": ["bash", "-c", _LAST]}},
    }
    mount = {"name": TLS_VOLUME, "mountPath": _TLS_FOLDER, "readOnly": True}
    return {
        "name": SIDECAR,
        "image": chosen.image,
        "command": ["envoy"],
        "args": _arguments(service, deployment, chosen, settings),
        "env": [
            _from_pod("POD_NAME", "metadata.name"),
            _from_pod("POD_NAMESPACE", "metadata.namespace"),
            _from_pod("POD_IP", "status.podIP"),
        ],
        "ports": [{"name": "detour-probe", "containerPort": PROBE_PORT, "protocol": "TCP"}],
        "resources": chosen.resources.of_container(),
        "securityContext": _without_rights(),
        "startupProbe": {
            "httpGet": {"path": "/ready", "port": PROBE_PORT, "scheme": "HTTP"},
            "periodSeconds": 1,
            "failureThreshold": _STARTUP_SECONDS,
        },
        **({"restartPolicy": "Always"} if settings.native else {"lifecycle": lifecycle}),
        **({"volumeMounts": [mount]} if settings.tls else {}),
    }


def redirect_container(chosen: Plan, settings: InjectionSettings) -> Json:
    """Return the init container of transparent mode, with only those rights that its rules need."""
    return {
        "name": REDIRECT,
        "image": settings.detour_image,
        "command": ["detour"],
        "args": ["redirect", *chosen.redirection.arguments()],
        "resources": chosen.resources.of_container(),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def tls_volume(settings: InjectionSettings) -> Json:
    """Return the volume with the sidecar's identity.

    A pod also starts before its Secret exists: its sidecar then works as without a control plane, and connects once
    the Secret exists.

    Envoy needs two small files in addition to the certificates (`sds_files`). They come from annotations of the
    pod, so that its namespace needs no ConfigMap.
    """
    secret = {
        "name": settings.tls_secret,
        "optional": True,
        "items": [{"key": key, "path": key} for key in ("tls.crt", "tls.key", "ca.crt")],
    }
    files = [
        {"path": path, "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{annotation}']"}}
        for annotation, path in zip(sds_annotations(), sds_files(_tls(settings)), strict=True)
    ]
    sources = [{"secret": secret}, {"downwardAPI": {"items": files}}]
    return {"name": TLS_VOLUME, "projected": {"defaultMode": 0o444, "sources": sources}}


def sds_annotations() -> dict[str, str]:
    """Return the annotations that `tls_volume` turns into files."""
    files = sds_files(ClientTls(_TLS_FOLDER))
    return {_SDS_ANNOTATION + name.removesuffix(".json"): text for name, text in files.items()}


def _arguments(service: str, deployment: str, chosen: Plan, settings: InjectionSettings) -> list[str]:
    bootstrap = sidecar_bootstrap(
        Sidecar(
            service=service,
            deployment=deployment,
            instance="$(POD_NAME)",
            namespace="$(POD_NAMESPACE)",
            outbound_port=OUTBOUND_PORT,
            transparent_port=chosen.redirection.to_port if chosen.mode is Mode.TRANSPARENT else None,
            admin_port=ADMIN_PORT,
            control_plane=settings.control_plane,
            tls=_tls(settings) if settings.tls else None,
            probe_port=PROBE_PORT,
            probe_address="$(POD_IP)",
        )
    )
    text = json.dumps(bootstrap, separators=(",", ":"))
    return [
        "--config-yaml",
        _escaped(text),
        "--concurrency",
        "1",
        "--log-level",
        chosen.log_level,
        "--disable-hot-restart",
    ]


def _escaped(text: str) -> str:
    """Escape all variables but ours, so that Kubernetes does not replace them; `$$` stands for `$`."""
    text = text.replace("$", "$$")
    for name in ("POD_NAME", "POD_NAMESPACE", "POD_IP"):
        text = text.replace(f"$$({name})", f"$({name})")
    return text


def _tls(settings: InjectionSettings) -> ClientTls:
    return ClientTls(_TLS_FOLDER, settings.tls_server_name)


def _from_pod(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _without_rights() -> Json:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsGroup": SIDECAR_UID,
        "runAsNonRoot": True,
        "runAsUser": SIDECAR_UID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
