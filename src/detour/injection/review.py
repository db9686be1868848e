"""The admission webhook's answer (admission.k8s.io/v1).

Invariant: a pod is never refused, also where this code fails: it is let in without a sidecar, and whoever creates
it is warned.
"""

import base64
import json
import logging
from typing import Any, Final

from detour.injection.patch import patch
from detour.injection.plan import Json, plan
from detour.injection.pod import inject
from detour.injection.settings import Settings

_WARNING_MAX: Final = 256
"""Characters of one warning, all that API servers are sure to pass on."""

_log = logging.getLogger(__name__)


def review(body: Json, settings: Settings) -> Json:
    """Answer an AdmissionReview.

    Args:
        body: The AdmissionReview as it came, decoded.
        settings: How pods get their sidecars.

    Raises:
        ValueError: It has no request with a `uid`: no answer could be told apart from others.
    """
    request = _request(body)
    if request is None:
        raise ValueError("this is no AdmissionReview: it has no request.uid")
    try:
        answer = _reviewed(request, settings)
    except Exception as error:  # noqa: BLE001  a pod must start whatever is wrong here
        _log.exception("no sidecar for a pod of %s", request.get("namespace"))
        answer = {"warnings": _told([f"this pod gets no sidecar, because of an error in Detour: {error!r}"])}
    response = {"uid": request["uid"], "allowed": True, **answer}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _request(body: Any) -> Json | None:
    request = body.get("request") if isinstance(body, dict) else None
    return request if isinstance(request, dict) and isinstance(request.get("uid"), str) else None


def _reviewed(request: Json, settings: Settings) -> Json:
    pod = request.get("object")
    if request.get("operation", "CREATE") != "CREATE" or not isinstance(pod, dict) or "spec" not in pod:
        return {}
    chosen = plan(pod, settings)
    skipped = [f"this pod gets no sidecar: {chosen.skipped}"] if chosen.skipped else []
    warnings = _told([*chosen.warnings, *skipped])
    operations = patch(pod, inject(pod, settings))
    answer: dict[str, Any] = {"warnings": warnings} if warnings else {}
    if operations:
        answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}
    return answer


def _told(warnings: Any) -> list[str]:
    return [f"Detour: {warning}"[:_WARNING_MAX] for warning in warnings]
