"""The admission webhook over HTTPS: sidecars for the pods of labelled namespaces.

Invariant: a thin adapter over `detour.injection`; failures here never prevent a pod from starting.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from fastapi import FastAPI, HTTPException, Request

from detour.injection import InjectionSettings, SelectingService, namespace_of, review, trial
from detour.injection.plan import Json


class PodSurroundings(Protocol):
    """What the sidecar of a new pod depends on, besides the pod itself."""

    async def refusal(self, pod: Json) -> str:
        """Return why the cluster does not admit a pod; "" if it does."""

    async def limit_ranges(self, namespace: str) -> Sequence[Json]:
        """Return the LimitRanges of a namespace; none if they can't be read."""

    def services(self, namespace: str) -> Sequence[SelectingService]:
        """Return the Services of a namespace."""


def webhook(settings: InjectionSettings, surroundings: PodSurroundings) -> FastAPI:
    """Return the webhook's application: `POST /inject` takes an AdmissionReview (admission.k8s.io/v1).

    Args:
        settings: The settings of injected sidecars.
        surroundings: The cluster, as far as it decides about sidecars.
    """
    app = FastAPI(title="Detour's admission webhook", openapi_url=None)

    @app.post("/inject")
    async def inject(request: Request) -> Any:
        try:
            body = await request.json()
            decided = settings
            if namespace := namespace_of(body):
                decided = replace(
                    settings,
                    services=tuple(surroundings.services(namespace)),
                    limit_ranges=tuple(await surroundings.limit_ranges(namespace)),
                )
            if tried := trial(body, decided):
                decided = replace(decided, refusal=await surroundings.refusal(tried))
            return review(body, decided)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error

    return app
