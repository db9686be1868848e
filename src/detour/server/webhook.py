"""The admission webhook over HTTPS: sidecars for the pods of labelled namespaces.

Invariant: a thin adapter over `detour.injection`; whatever happens here, a pod may start.
"""

from typing import Any

from fastapi import FastAPI, HTTPException, Request

from detour.injection import Settings, review


def webhook(settings: Settings) -> FastAPI:
    """Return the webhook's application: `POST /inject` takes an AdmissionReview (admission.k8s.io/v1)."""
    app = FastAPI(title="Detour's admission webhook", openapi_url=None)

    @app.post("/inject")
    async def inject(request: Request) -> Any:
        try:
            return review(await request.json(), settings)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error

    return app
