"""The API as the command line uses it."""

import os
from typing import Annotated, Any, Final

import httpx
import typer

DEFAULT_SERVER: Final = "http://127.0.0.1:15020"

Server = Annotated[
    str, typer.Option("--server", envvar="DETOUR_SERVER", help="Where the server's API is.", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_TIMEOUT_SECONDS: Final = 10


def request(server: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call the API and return what it answers, decoded.

    Raises:
        RuntimeError: There is no server at that address, or it refused; the message is for people.
    """
    try:
        # The environment's proxy is for applications in the mesh; the server is not reached through a sidecar.
        with httpx.Client(base_url=server, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            response = client.request(method, path, json=body)
    except httpx.InvalidURL as error:
        raise RuntimeError(f"--server {server!r} is not a URL such as {DEFAULT_SERVER}: {error}") from error
    except httpx.TransportError as error:
        reason = f"no Detour server answers at {server} ({error})"
        raise RuntimeError(f"{reason}: start one with `detour serve --mesh FILE`, or give --server") from error
    if response.is_error:
        raise RuntimeError(_refusal(server, response))
    return response.json() if response.content else None


def _refusal(server: str, response: httpx.Response) -> str:
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        return str(response.json()["detail"])
    return f"{server} answered {response.status_code} to {response.request.url.path}: is that a Detour server?"


def user() -> str:
    """Return the name that this person registers deployments under."""
    return os.environ.get("DETOUR_USER") or os.environ.get("USER") or os.environ.get("LOGNAME") or "nobody"
