"""Signing in with an OpenID Connect issuer, without a browser on this machine (RFC 6749, RFC 8628).

`device_flow` is a generator of the steps of the exchange with the issuer; `sign_in` and `sign_in_async` run them.
"""

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from detour.client import credentials
from detour.client.credentials import Credentials
from detour.client.errors import SignInError
from detour.contract import SignInOut
from detour.reason import reason_of

_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL_SECONDS: Final = 5
"""Default polling interval (RFC 8628, section 3.2)."""
_LIFE_SECONDS: Final = 600
_EARLY_SECONDS: Final = 30
"""How long before its expiry a token is refreshed."""
_TIMEOUT_SECONDS: Final = 20
_JSON: Final = {"accept": "application/json"}

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Post:
    """A step: send a form to an endpoint of the issuer, and continue with its answer."""

    endpoint: str
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wait:
    """A step: wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Confirm:
    """A step: ask the user to open a page, on any machine, and confirm a code there."""

    url: str
    code: str


Flow = Generator[Post | Wait | Confirm, Answer, Credentials]


def device_flow(way: SignInOut) -> Flow:
    """Yield the steps of a sign-in by a code that the user confirms; return the credentials (RFC 8628).

    Args:
        way: How the server says to sign in.

    Raises:
        SignInError: The issuer refused, or the code was not confirmed.
    """
    if not (way.device_authorization_endpoint and way.token_endpoint and way.client_id):
        raise SignInError(
            f"{way.issuer} does not support sign-in from command lines (RFC 8628): create an API token where you"
            " are already signed in, and pass it to detour login --with-token"
        )
    form = {"client_id": way.client_id, "scope": f"{way.scopes} offline_access"}
    begun = yield Post(way.device_authorization_endpoint, form)
    if "device_code" not in begun:
        raise SignInError(f"{way.issuer} refuses sign-ins: {_reason(begun)}")
    yield Confirm(begun.get("verification_uri_complete") or begun["verification_uri"], begun["user_code"])
    poll = Post(
        way.token_endpoint,
        {"grant_type": _DEVICE_GRANT, "device_code": begun["device_code"], "client_id": way.client_id},
    )
    pause, left = begun.get("interval", _INTERVAL_SECONDS), begun.get("expires_in", _LIFE_SECONDS)
    while left > 0:
        yield Wait(pause)
        left -= pause
        answer = yield poll
        match answer.get("error"):
            case None:
                return _credentials(answer, way.token_endpoint, way.client_id)
            case "slow_down":  # RFC 8628, section 3.5
                pause += _INTERVAL_SECONDS
            case "authorization_pending":
                continue
            case _:
                raise SignInError(f"{way.issuer} did not sign you in: {_reason(answer)}")
    raise SignInError("the code was not confirmed in time: sign in again with detour login")


def sign_in(way: SignInOut, confirm: Callable[[Confirm], None]) -> Credentials:
    """Sign in with an issuer.

    Args:
        way: How the server says to sign in: `Client.get_sign_in`.
        confirm: Shows the user the page and the code.

    Raises:
        SignInError: The issuer refused, or the code was not confirmed.
    """
    flow, answer = device_flow(way), None
    with httpx.Client(timeout=_TIMEOUT_SECONDS) as issuer:
        try:
            while True:
                match flow.send(answer) if answer is not None else next(flow):
                    case Post() as step:
                        answer = _post(issuer, step)
                    case Wait(seconds):
                        time.sleep(seconds)
                        answer = {}
                    case Confirm() as shown:
                        confirm(shown)
                        answer = {}
        except StopIteration as done:
            return _result(done)


async def sign_in_async(way: SignInOut, confirm: Callable[[Confirm], None]) -> Credentials:
    """Sign in with an issuer, as `sign_in` does."""
    flow, answer = device_flow(way), None
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as issuer:
        try:
            while True:
                match flow.send(answer) if answer is not None else next(flow):
                    case Post() as step:
                        answer = await _post_async(issuer, step)
                    case Wait(seconds):
                        await asyncio.sleep(seconds)
                        answer = {}
                    case Confirm() as shown:
                        confirm(shown)
                        answer = {}
        except StopIteration as done:
            return _result(done)


def refreshed(server: str, found: Credentials) -> Credentials:
    """Return valid credentials for a server: expiring ones are refreshed at the issuer, and stored.

    Raises:
        SignInError: The issuer refuses to refresh them.
    """
    is_over = found.expires is not None and found.expires - _EARLY_SECONDS <= time.time()
    if not is_over or not found.refresh_token:
        return found
    form = {"grant_type": "refresh_token", "refresh_token": found.refresh_token, "client_id": found.client_id}
    with httpx.Client(timeout=_TIMEOUT_SECONDS) as issuer:
        answer = _post(issuer, Post(found.token_endpoint, form))
    if "error" in answer:
        raise SignInError(
            f"the sign-in to {server} has expired ({_reason(answer)}): sign in again with detour login"
        )
    new = _credentials(answer, found.token_endpoint, found.client_id)
    new = replace(new, refresh_token=new.refresh_token or found.refresh_token)
    credentials.keep(server, new)
    return new


def _result(done: StopIteration) -> Credentials:
    found: Credentials = done.value
    return found


def _post(issuer: httpx.Client, step: Post) -> Answer:
    try:
        return _read(issuer.post(step.endpoint, data=step.form, headers=_JSON))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:
        raise _issuer_failed(step, error) from error


async def _post_async(issuer: httpx.AsyncClient, step: Post) -> Answer:
    try:
        return _read(await issuer.post(step.endpoint, data=step.form, headers=_JSON))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:
        raise _issuer_failed(step, error) from error


def _read(response: httpx.Response) -> Answer:
    return dict(response.json())


def _issuer_failed(step: Post, error: Exception) -> SignInError:
    return SignInError(f"{urlsplit(step.endpoint).netloc} gave no valid answer of an issuer: {reason_of(error)}")


def _credentials(answer: Answer, token_endpoint: str, client_id: str) -> Credentials:
    """Return the credentials; the ID token is the one that the server can always check, for this client."""
    if "id_token" not in answer:
        raise SignInError("the issuer gave no ID token: is it an OpenID Connect issuer?")
    token = str(answer["id_token"])
    return Credentials(token, _expiry(token), answer.get("refresh_token", ""), token_endpoint, client_id)


def _expiry(token: str) -> float | None:
    """Return the expiry in a token (RFC 7519, section 4.1.4), unverified; the server verifies the token."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (LookupError, ValueError, TypeError):
        return None


def _reason(answer: Answer) -> str:
    return str(answer.get("error_description") or answer.get("error") or "it gave no reason")
