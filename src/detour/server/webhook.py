"""The admission webhook over HTTPS: sidecars for the pods of labelled namespaces.

Invariant: a thin adapter over `detour.injection`; failures here never prevent a pod from starting.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from detour.injection import InjectionSettings, review, trial
from detour.injection.plan import Json

Refusal = Callable[[Json], Awaitable[str]]
"""Returns why the cluster does not admit a pod; "" if it does."""


def webhook(settings: InjectionSettings, refusal: Refusal) -> FastAPI:
    """Return the webhook's application: `POST /inject` takes an AdmissionReview (admission.k8s.io/v1).

    Args:
        settings: The settings of injected sidecars.
        refusal: Called if the mode of a pod depends on whether the cluster admits it.
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
