"""Adding the sidecar to a pod.

Invariant: pure; the argument does not change, and a pod that has a sidecar, or should not have one, is returned
unchanged. Injection only adds to a pod.
"""

from copy import deepcopy
from typing import Final

from detour.injection.plan import PROXY_NAMES, Json, Plan, environment, metadata, plan
from detour.injection.service_name import service_of
from detour.injection.settings import InjectionSettings, Mode
from detour.injection.sidecar import (
    OUTBOUND_PORT,
    redirect_container,
    sds_annotations,
    sidecar_container,
    tls_volume,
)
from detour.kubernetes.labels import OFFLOADED

_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
_NO_PROXY: Final = "localhost,127.0.0.1,::1,$(KUBERNETES_SERVICE_HOST)"
"""Kubernetes replaces the last with the address of its API."""


def inject(pod: Json, settings: InjectionSettings) -> Json:
    """Return the pod, or template of pods, with a sidecar if it should have one."""
    chosen = plan(pod, settings)
    if not chosen.injects:
        return pod
    injected = deepcopy(pod)
    _add_metadata(injected, settings)
    if settings.tls:
        spec = injected["spec"]
        spec["volumes"] = [*(spec.get("volumes") or ()), tls_volume(settings)]
    if chosen.mode is Mode.EXPLICIT:
        _set_proxy(injected, settings)
    _add_containers(injected, chosen, settings)
    return injected


def _add_metadata(pod: Json, settings: InjectionSettings) -> None:
    added = sds_annotations() if settings.tls else {}
    containers = pod["spec"].get("containers") or ()
    if not settings.native and containers:
        # The sidecar comes first, and kubectl logs and exec choose the first container by default.
        added = {_DEFAULT_CONTAINER: containers[0].get("name", ""), **added}
    if added:
        own = pod.setdefault("metadata", {}) or {}
        pod["metadata"] = {**own, "annotations": {**added, **metadata(pod, "annotations")}}


def _set_proxy(pod: Json, settings: InjectionSettings) -> None:
    """Set the variables by which the application uses its sidecar.

    In lower case only: curl ignores HTTP_PROXY in capitals (a CGI program's caller could set it), and programs that
    read capitals read lower case as well. HTTPS requests do not go through the sidecar.
    """
    spec = pod["spec"]
    # Ordinary sidecars start after all init containers.
    for container in [
        *(spec.get("containers") or ()),
        *((spec.get("initContainers") or ()) if settings.native else ()),
    ]:
        own = environment(container)
        if PROXY_NAMES & own:
            continue
        wanted = {"http_proxy": f"http://127.0.0.1:{OUTBOUND_PORT}", "no_proxy": _NO_PROXY}
        added = [{"name": name, "value": value} for name, value in wanted.items() if name not in own]
        container["env"] = [*(container.get("env") or ()), *added]


def _add_containers(pod: Json, chosen: Plan, settings: InjectionSettings) -> None:
    spec = pod["spec"]
    deployment = str(metadata(pod, "labels").get(OFFLOADED) or "")
    sidecar = sidecar_container(service_of(pod, settings.services), deployment, chosen, settings)
    rules = [redirect_container(chosen, settings)] if chosen.mode is Mode.TRANSPARENT else []
    initial = spec.get("initContainers") or []
    if settings.native:
        # Before the pod's own, whose requests then have a sidecar too.
        spec["initContainers"] = [*rules, sidecar, *initial]
        return
    if rules:
        # After the pod's own, whose connections would otherwise lead to a sidecar that does not run yet.
        spec["initContainers"] = [*initial, *rules]
    spec["containers"] = [sidecar, *(spec.get("containers") or ())]
