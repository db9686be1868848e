"""The default address of the server. Imports only the standard library, so that commands start quickly."""

import os
from typing import Final

DEFAULT_SERVER: Final = "http://127.0.0.1:15020"
"""The server on this machine."""

SERVER_VARIABLE: Final = "DETOUR_SERVER"
"""The environment variable that names another server."""


def server_of_environment() -> str:
    """Return the server that the environment names, or the one on this machine."""
    return os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER
