"""Serving an ASGI application with uvicorn."""

import os
from typing import Any


def serve(application: Any) -> None:
    """Serve on the port that the environment names, until the process is ended."""
    import uvicorn

    # A request that is sent on a connection that is just being closed fails, and on a busy machine some are.
    port = int(os.environ["PORT"])
    uvicorn.run(application, port=port, log_level="warning", lifespan="off", timeout_keep_alive=600)
