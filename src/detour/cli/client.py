"""The API as the command line uses it."""

import getpass
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from detour.cli import credentials
from detour.cli.issuer import refreshed

if TYPE_CHECKING:
    import httpx

DEFAULT_SERVER: Final = "http://127.0.0.1:15020"
ENVIRONMENT: Final = "DETOUR_SERVER"
"""The variable that names another."""

Server = Annotated[
    str, typer.Option("--server", envvar=ENVIRONMENT, help="Where the server's API is.", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_TIMEOUT_SECONDS: Final = 20
_USER_HEADER: Final = "x-detour-user"


class ServerError(RuntimeError):
    """No server answers, or what answers is none that knows what it is asked; it has not refused anything."""


class NotFoundError(RuntimeError):
    """The server has none of what it was asked for."""


def request(
    server: str,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    signs: bool = True,
    timeout_seconds: float = _TIMEOUT_SECONDS,
    **headers: str,
) -> Any:
    """Call the API and return what it answers, decoded.

    Args:
        server: Its URL.
        method: `GET`, `PUT`, ...
        path: What is asked, with its query.
        body: What is sent, as JSON.
        signs: Whether what one has signed in with is sent, if there is any.
        timeout_seconds: How long to wait for it.
        headers: What is sent beside it, with underscores for dashes.

    Raises:
        RuntimeError: There is no server at that address, or it refused; the message is for people.
    """
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with _connected(server, signs=signs) as client:
        return _answer(server, client.request(method, path, json=body, headers=sent, timeout=timeout_seconds))


def listens(server: str, timeout_seconds: float) -> bool:
    """Say whether anybody listens at a server's address; unlike a request that takes no library."""
    try:
        at = urlsplit(server)
        port = at.port or (443 if at.scheme == "https" else 80)
        socket.create_connection((at.hostname or "", port), timeout_seconds).close()
    except (OSError, ValueError):
        return False
    return True


def pages(server: str, path: str) -> list[Any]:
    """Call the API and return a list, all pages of it.

    Raises:
        RuntimeError: There is no server at that address, or it refused; the message is for people.
    """
    found: list[Any] = []
    with _connected(server) as client:
        following: str | None = path
        while following:
            response = client.get(following)
            found += _answer(server, response)
            following = response.links.get("next", {}).get("url")
    return found


def lines(server: str, path: str) -> Iterator[str]:
    """Call the API and yield the lines of its answer as they come.

    Raises:
        RuntimeError: There is no server at that address, or it refused; the message is for people.
    """
    with _connected(server) as client, client.stream("GET", path, timeout=None) as response:
        if response.is_error:
            response.read()
            _answer(server, response)
        yield from response.iter_lines()


@contextmanager
def _connected(server: str, *, signs: bool = True) -> Iterator["httpx.Client"]:
    import httpx  # noqa: PLC0415  a fifth of a second that other commands need not wait

    try:
        # The environment's proxy is for applications in the mesh; the server is not reached through a sidecar.
        headers = {_USER_HEADER: _local_user()}
        if signs and (signed_in := credentials.of(server)):
            headers["authorization"] = f"Bearer {refreshed(server, signed_in).token}"
        with httpx.Client(base_url=server, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            yield client
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise RuntimeError(f"--server {server!r} is not a URL such as {DEFAULT_SERVER}") from error
    except httpx.RequestError as error:
        if isinstance(error.__context__, ssl.SSLError) or "[SSL" in str(error):
            raise ServerError(f"{server} cannot be trusted, or does not speak TLS: {error}") from error
        reason = f"no Detour server answers at {server} ({error})"
        raise ServerError(f"{reason}: start one with detour serve --mesh FILE, or give --server") from error


def _answer(server: str, response: "httpx.Response") -> Any:
    kind = response.headers.get("content-type", "")
    if response.status_code == 204:
        return None
    path = response.request.url.path
    try:
        if response.is_success and kind.startswith("application/json"):
            return response.json()
        if response.is_error and kind.startswith("application/problem+json"):
            detail = response.json()["detail"]
            # Who asks is not known, or this server is older than what it is asked.
            is_unheard = response.status_code == HTTPStatus.UNAUTHORIZED or detail.startswith("there is no POST ")
            if is_unheard:
                raise ServerError(detail)
            raise (NotFoundError if response.status_code == HTTPStatus.NOT_FOUND else RuntimeError)(detail)
    except (ValueError, LookupError, TypeError) as error:
        raise ServerError(f"{server} answered {path} with unreadable JSON: is that a Detour server?") from error
    raise ServerError(f"{server} answered {response.status_code} to {path}: is that a Detour server?")


def user(server: str) -> str:
    """Return the name that this person's deployments and scenarios have as their owner.

    Raises:
        RuntimeError: They have signed in, and the server does not answer, or refuses.
    """
    return str(request(server, "GET", "/v1/me")["name"]) if credentials.of(server) else _local_user()


def _local_user() -> str:
    try:
        return os.environ.get("DETOUR_USER") or getpass.getuser()
    except (KeyError, OSError):
        return "nobody"
