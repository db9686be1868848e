"""Serving an ASGI application with uvicorn."""

import os
from typing import Any


def serve(application: Any) -> None:
    """Serve on the port that the environment names, until the process is ended."""
    import uvicorn

    uvicorn.run(application, port=int(os.environ["PORT"]), log_level="warning", lifespan="off")
