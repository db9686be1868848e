"""How commands reach the server: the options for it, and a connected client."""

import getpass
import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

import typer

from detour.cli.terminal import print_table
from detour.client.credentials import of as credentials_of
from detour.client.server_address import SERVER_VARIABLE

if TYPE_CHECKING:
    from pydantic import BaseModel

    from detour.client import Client

Server = Annotated[
    str, typer.Option("--server", envvar=SERVER_VARIABLE, help="The URL of the server's API.", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

Parameters = ParamSpec("Parameters")
Made = TypeVar("Made")
Listed = TypeVar("Listed", bound="BaseModel")

_TIMEOUT_SECONDS: Final = 20.0


@contextmanager
def connected(
    server: str,
    *,
    is_signed_in: bool = True,
    token: str | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
    is_patient: bool = True,
) -> Iterator["Client"]:
    """Yield a client of a server that acts as the person who runs the command.

    Args:
        server: The server's URL.
        is_signed_in: Whether to send this person's token, if there is one.
        token: A token to send instead.
        timeout_seconds: How long to wait for each part of a response.
        is_patient: Whether to retry if no server answers.

    Raises:
        ValueError: `server` is not a URL.
        ClientError: A request failed; the message is for people.
    """
    from detour.client import Client, UnreachableError, UntrustedServerError  # noqa: PLC0415  half a second
    from detour.client.authorization import kept_token  # noqa: PLC0415
    from detour.client.retrying import Retries  # noqa: PLC0415

    try:
        client = Client(
            server,
            token=token or (kept_token(server) if is_signed_in else None),
            user=local_user(),
            timeout_seconds=timeout_seconds,
            retries=Retries() if is_patient else Retries(most=0),
        )
    except ValueError as error:
        raise ValueError(f"--server {error}") from error
    with client:
        try:
            yield client
        except UntrustedServerError:
            raise
        except UnreachableError as error:
            hint = "start one with detour serve --mesh FILE, or give --server"
            raise UnreachableError(f"{error}: {hint}") from error


def checked(make: Callable[Parameters, Made], *arguments: Parameters.args, **named: Parameters.kwargs) -> Made:
    """Return a model made from a person's input.

    Raises:
        ValueError: The input is invalid; the message is one line.
    """
    from pydantic import ValidationError  # noqa: PLC0415  slow to import

    from detour.contract import explained  # noqa: PLC0415

    try:
        return make(*arguments, **named)
    except ValidationError as error:
        raise ValueError(explained(error.errors())) from error


def is_unchecked(error: Exception) -> bool:
    """Return whether an error means that no server checked the input, rather than that one refused it."""
    from detour import client  # noqa: PLC0415

    # A server that refuses the caller, or does not have the operation yet, has checked nothing.
    unchecked = (
        client.UnreachableError,
        client.UnexpectedAnswerError,
        client.NotSignedInError,
        client.MethodNotAllowedError,
    )
    is_older = isinstance(error, client.NotFoundError) and "POST /" in str(error)
    return isinstance(error, unchecked) or is_older


def listens(server: str, timeout_seconds: float) -> bool:
    """Return whether something listens at a server's address; unlike a request, this imports no library."""
    try:
        at = urlsplit(server)
        port = at.port or (443 if at.scheme == "https" else 80)
        socket.create_connection((at.hostname or "", port), timeout_seconds).close()
    except (OSError, ValueError):
        return False
    return True


def print_json(found: "BaseModel | Sequence[BaseModel]") -> None:
    """Print what the server returned, as JSON."""
    typer.echo(json.dumps(_plain(found), indent=2))


def print_list(
    found: "Sequence[Listed]",
    columns: Sequence[str],
    row: "Callable[[Listed], Sequence[str]]",
    *,
    empty: str,
    as_json: bool,
) -> None:
    """Print what the server returned as a table, or as JSON for programs.

    Args:
        found: The items.
        columns: The names of the table's columns.
        row: Returns an item's cells.
        empty: What to print instead of an empty table.
        as_json: Whether to print JSON.
    """
    if as_json:
        print_json(found)
    elif not found:
        typer.echo(empty)
    else:
        print_table(columns, [row(one) for one in found])


def _plain(found: "BaseModel | Sequence[BaseModel]") -> Any:
    if isinstance(found, Sequence):
        return [one.model_dump(mode="json") for one in found]
    return found.model_dump(mode="json")


def user(client: "Client") -> str:
    """Return the name of the caller, who owns what they create.

    Raises:
        ClientError: The caller has signed in, and the server does not answer or refuses the request.
    """
    return client.get_identity().name if credentials_of(client.server) else local_user()


def local_user() -> str:
    """Return the name of the person on this machine."""
    try:
        return os.environ.get("DETOUR_USER") or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
