"""An OpenID Connect issuer, as the command line asks it for tokens (RFC 6749, RFC 8628)."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import typer

from detour.cli import credentials
from detour.cli.credentials import Credentials

if TYPE_CHECKING:
    import httpx

_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL_SECONDS: Final = 5
"""What RFC 8628, section 3.2, has as the pause between two questions where the issuer does not say."""
_EARLY_SECONDS: Final = 30
"""So long before its end a token is exchanged for another."""
_TIMEOUT_SECONDS: Final = 20


def refreshed(server: str, found: Credentials) -> Credentials:
    """Return credentials for a server that still count: where they don't, others that the issuer gives for them.

    Raises:
        RuntimeError: The issuer gives none; the message is for people.
    """
    is_over = found.expires is not None and found.expires - _EARLY_SECONDS <= time.time()
    if not is_over or not found.refresh_token:
        return found
    form = {"grant_type": "refresh_token", "refresh_token": found.refresh_token, "client_id": found.client_id}
    with _client() as issuer:
        said = _ask(issuer, found.token_endpoint, form)
    if "error" in said:
        raise RuntimeError(f"the sign-in to {server} is over ({_reason(said)}): sign in again with detour login")
    new = _credentials(said, found.token_endpoint, found.client_id)
    new = replace(new, refresh_token=new.refresh_token or found.refresh_token)
    credentials.keep(server, new)
    return new


def sign_in(way: dict[str, Any]) -> Credentials:
    """Sign in by a code that a person confirms in a browser, on this machine or another (RFC 8628).

    Args:
        way: What the server says of its issuer: `GET /v1/sign-in`.

    Raises:
        RuntimeError: Nobody was signed in; the message is for people.
    """
    if not way["device_authorization_endpoint"]:
        raise RuntimeError(
            f"{way['issuer']} has no sign-in for command lines (RFC 8628): make an API token where you are signed"
            " in already, and give it to detour login --with-token"
        )
    with _client() as issuer:
        form = {"client_id": way["client_id"], "scope": f"{way['scopes']} offline_access"}
        begun = _ask(issuer, way["device_authorization_endpoint"], form)
        if "device_code" not in begun:
            raise RuntimeError(f"{way['issuer']} lets nobody sign in: {_reason(begun)}")
        where = begun.get("verification_uri_complete") or begun["verification_uri"]
        typer.echo(f"Open {where} and confirm the code {begun['user_code']}", err=True)
        return _awaited(issuer, way, begun)


def _awaited(issuer: "httpx.Client", way: dict[str, Any], begun: dict[str, Any]) -> Credentials:
    """Ask until the person has confirmed, as often as the issuer likes (RFC 8628, section 3.5)."""
    form = {"grant_type": _DEVICE_GRANT, "device_code": begun["device_code"], "client_id": way["client_id"]}
    pause, end = begun.get("interval", _INTERVAL_SECONDS), time.monotonic() + begun.get("expires_in", 600)
    while time.monotonic() < end:
        time.sleep(pause)
        said = _ask(issuer, way["token_endpoint"], form)
        match said.get("error"):
            case None:
                return _credentials(said, way["token_endpoint"], way["client_id"])
            case "slow_down":
                pause += _INTERVAL_SECONDS
            case "authorization_pending":
                continue
            case _:
                raise RuntimeError(f"{way['issuer']} did not sign you in: {_reason(said)}")
    raise RuntimeError("nobody has confirmed the code in time: detour login begins anew")


@contextmanager
def _client() -> Iterator["httpx.Client"]:
    import httpx  # noqa: PLC0415  a fifth of a second that other commands need not wait

    with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
        yield client


def _ask(issuer: "httpx.Client", endpoint: str, form: dict[str, str]) -> dict[str, Any]:
    import httpx  # noqa: PLC0415  a fifth of a second that other commands need not wait

    try:
        return dict(issuer.post(endpoint, data=form, headers={"accept": "application/json"}).json())
    except (httpx.HTTPError, ValueError) as error:
        raise RuntimeError(f"{urlsplit(endpoint).netloc} does not answer as an issuer: {error}") from error


def _credentials(said: dict[str, Any], token_endpoint: str, client_id: str) -> Credentials:
    """Take the ID token: it is always one that the server can check, for this client."""
    if "id_token" not in said:
        raise RuntimeError("the issuer gave no ID token: is it an OpenID Connect issuer?")
    token = str(said["id_token"])
    return Credentials(token, _expiry(token), said.get("refresh_token", ""), token_endpoint, client_id)


def _expiry(token: str) -> float | None:
    """Return when a token says that it expires (RFC 7519, section 4.1.4); the server checks the rest of it."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (LookupError, ValueError, TypeError):
        return None


def _reason(said: dict[str, Any]) -> str:
    return str(said.get("error_description") or said.get("error") or "it gave no reason")
