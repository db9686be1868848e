"""Signing in with an issuer, from a program: with a real issuer, and with transcripts of rare responses."""

import json
import time
from collections.abc import Iterator

import pytest

import issuer as real
from cli.running import serving
from detour.client import (
    AsyncClient,
    Client,
    Credentials,
    SignInError,
    SignInOut,
    credentials,
    sign_in,
    sign_in_async,
)
from detour.client.signing_in import Confirm, Post, Wait, device_flow

WAY = SignInOut(
    is_needed=True,
    issuer="https://issuer.example.test",
    client_id="cli",
    scopes="openid email",
    token_endpoint="https://issuer.example.test/token",
    device_authorization_endpoint="https://issuer.example.test/device",
)
BEGUN = {
    "device_code": "d",
    "user_code": "AB-CD",
    "verification_uri": "https://issuer.example.test/go",
    "interval": 2,
}
TOKEN = "e30.e30."


@pytest.fixture
def issuer() -> Iterator[real.RunningIssuer]:
    """Run the issuer."""
    if why := real.why_not():
        pytest.skip(why)
    with real.running() as found:
        yield found


async def test_both_clients_sign_in_with_a_real_issuer(tmp_path, issuer, monkeypatch):
    """The token is sent to the server, stored for it, and refreshed before it expires."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DETOUR_TOKEN", raising=False)
    mesh = tmp_path / "mesh" / "mesh.yaml"
    mesh.parent.mkdir()
    mesh.write_text(json.dumps({"services": {"users": {"endpoints": ["127.0.0.1:9001"]}}}))
    options = ("--oidc-issuer", issuer.url, "--oidc-client-id", real.CLIENT)
    with serving(mesh, *options) as server:
        async with AsyncClient(server.url) as stranger:
            way = await stranger.get_sign_in()
        found = await sign_in_async(way, lambda shown: real.confirm(shown.url, "developer-ada"))
        async with AsyncClient(server.url, token=found.token) as ada:
            assert (await ada.get_identity()).name == "developer-ada@example.test"
        other = sign_in(way, lambda shown: real.confirm(shown.url, "viewer-vic"))
        over = Credentials(other.token, time.time(), other.refresh_token, other.token_endpoint, other.client_id)
        credentials.keep(server.url, over)
        with Client.from_environment(server.url) as vic:
            assert vic.get_identity().name == "viewer-vic@example.test"
        kept = credentials.of(server.url)
        assert kept.expires > time.time() + 60


def played(*answers: dict) -> Iterator:
    """Yield the steps of a sign-in with these responses of the issuer, and its end."""
    flow, left = device_flow(WAY), list(answers)
    step = next(flow)
    while True:
        yield step
        try:
            step = flow.send(left.pop(0) if isinstance(step, Post) else {})
        except (StopIteration, SignInError) as end:
            yield end
            return


def test_polling_until_the_user_confirms():
    """The client polls the issuer, and more slowly on request (RFC 8628, section 3.5)."""
    pending, slow = {"error": "authorization_pending"}, {"error": "slow_down"}
    good = {"id_token": TOKEN, "refresh_token": "r"}
    begun, shown, *rest, end = played(BEGUN, pending, slow, good)
    assert begun == Post(
        WAY.device_authorization_endpoint, {"client_id": "cli", "scope": "openid email offline_access"}
    )
    assert shown == Confirm("https://issuer.example.test/go", "AB-CD")
    assert [one for one in rest if isinstance(one, Wait)] == [Wait(2), Wait(2), Wait(7)]
    assert {one.endpoint for one in rest if isinstance(one, Post)} == {WAY.token_endpoint}
    assert end.value == Credentials(TOKEN, None, "r", WAY.token_endpoint, "cli")


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([{"error": "unauthorized_client"}], "refuses sign-ins: unauthorized_client"),
        ([BEGUN, {"error": "access_denied", "error_description": "no"}], "did not sign you in: no"),
        ([BEGUN, {"access_token": "a"}], "gave no ID token"),
        ([{**BEGUN, "expires_in": 2}, {"error": "authorization_pending"}], "not confirmed in time"),
    ],
)
def test_failed_sign_ins(answers, why):
    """The error says why."""
    *_, end = played(*answers)
    assert isinstance(end, SignInError)
    assert why in str(end)


def test_an_issuer_without_device_sign_in():
    """The error says what to do instead."""
    with pytest.raises(SignInError, match="detour login --with-token"):
        next(device_flow(SignInOut(is_needed=True, issuer="https://issuer.example.test")))


def test_an_issuer_that_does_not_answer():
    """The error names it."""
    nowhere = WAY.model_copy(update={"device_authorization_endpoint": "http://127.0.0.1:1/device"})
    with pytest.raises(SignInError, match=r"127\.0\.0\.1:1 gave no valid answer of an issuer"):
        sign_in(nowhere, print)
