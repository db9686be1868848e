"""The admission webhook over HTTPS: sidecars for the pods of labelled namespaces.

Invariant: a thin adapter over `detour.injection`; whatever happens here, a pod may start.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from detour.injection import Settings, review, trial
from detour.injection.plan import Json

Refusal = Callable[[Json], Awaitable[str]]
"""Returns why the cluster does not admit a pod; empty if it does."""


def webhook(settings: Settings, refusal: Refusal) -> FastAPI:
    """Return the webhook's application: `POST /inject` takes an AdmissionReview (admission.k8s.io/v1).

    Args:
        settings: How pods get their sidecars.
        refusal: Asked where a pod's mode depends on what the cluster admits.
    """
    app = FastAPI(title="Detour's admission webhook", openapi_url=None)

    @app.post("/inject")
    async def inject(request: Request) -> Any:
        try:
            body = await request.json()
            tried = trial(body, settings)
            decided = replace(settings, refusal=await refusal(tried)) if tried else settings
            return review(body, decided)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error

    return app
