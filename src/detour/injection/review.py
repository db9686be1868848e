"""The admission webhook's answer (admission.k8s.io/v1).

Invariant: the webhook never refuses a pod. If this code fails, the pod starts without a sidecar, and its creator
gets a warning.
"""

import base64
import json
import logging
from typing import Any, Final

from detour.injection.patch import patch
from detour.injection.plan import INJECT_LABEL, Json, plan
from detour.injection.pod import inject
from detour.injection.settings import InjectionSettings

_WARNING_MAX: Final = 256
"""Maximum length of one warning that API servers are sure to forward."""

_KEPT: Final = frozenset({"annotations", "generateName", "labels", "name"})
"""Metadata of a pod for the dry run. Owners are left out: to name them, the server would need more rights."""

_log = logging.getLogger(__name__)


def trial(body: Json, settings: InjectionSettings) -> Json | None:
    """Return a pod for a dry run that shows whether the cluster admits transparent mode.

    None if the answer to this AdmissionReview does not depend on it.
    """
    request = _request(body)
    pod = _created(request) if request else None
    if request is None or pod is None:
        return None
    try:
        chosen = plan(pod, settings)
        tried = inject(pod, settings) if chosen.injects and chosen.is_auto else None
    except Exception:  # noqa: BLE001  `review` reports it
        return None
    return _as_trial(tried, str(request.get("namespace", ""))) if tried else None


def namespace_of(body: Json) -> str:
    """Return the namespace of the pod that an AdmissionReview is about; empty if the answer adds no sidecar."""
    request = _request(body)
    return str(request.get("namespace") or "") if request and _created(request) else ""


def _as_trial(pod: Json, namespace: str) -> Json:
    """Return the pod without an owner, and with the label that makes this webhook ignore it."""
    own = {key: value for key, value in (pod.get("metadata") or {}).items() if key in _KEPT}
    labels = {**(own.get("labels") or {}), INJECT_LABEL: "false"}
    return {**pod, "apiVersion": "v1", "kind": "Pod", "metadata": {**own, "namespace": namespace, "labels": labels}}


def review(body: Json, settings: InjectionSettings) -> Json:
    """Answer an AdmissionReview.

    Args:
        body: The AdmissionReview, decoded.
        settings: The settings of injected sidecars.

    Raises:
        ValueError: It has no request with a `uid`, which an answer needs.
    """
    request = _request(body)
    if request is None:
        raise ValueError("this is not an AdmissionReview: request.uid is missing")
    try:
        answer = _reviewed(request, settings)
    except Exception as error:  # noqa: BLE001  a pod must start whatever is wrong here
        _log.exception("no sidecar for a pod of %s", request.get("namespace"))
        answer = {"warnings": _prefixed([f"this pod gets no sidecar, because of an error in Detour: {error!r}"])}
    response = {"uid": request["uid"], "allowed": True, **answer}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _request(body: Any) -> Json | None:
    request = body.get("request") if isinstance(body, dict) else None
    return request if isinstance(request, dict) and isinstance(request.get("uid"), str) else None


def _reviewed(request: Json, settings: InjectionSettings) -> Json:
    pod = _created(request)
    if pod is None:
        return {}
    chosen = plan(pod, settings)
    skipped = [f"this pod gets no sidecar: {chosen.skipped}"] if chosen.skipped else []
    warnings = _prefixed([*chosen.warnings, *skipped])
    operations = patch(pod, inject(pod, settings))
    answer: dict[str, Any] = {"warnings": warnings} if warnings else {}
    if operations:
        answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}
    return answer


def _created(request: Json) -> Json | None:
    pod = request.get("object")
    is_pod = isinstance(pod, dict) and "spec" in pod
    return pod if is_pod and request.get("operation", "CREATE") == "CREATE" else None


def _prefixed(warnings: Any) -> list[str]:
    return [f"Detour: {warning}"[:_WARNING_MAX] for warning in warnings]
