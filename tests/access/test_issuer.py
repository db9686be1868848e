"""Tokens of a real OpenID Connect issuer are accepted, and forged ones are refused."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import issuer as real
from detour.access import Identity, Issuer, IssuerSettings, Role, UnknownCallerError, Via
from detour.access.issuer import IssuerError


@pytest.fixture(scope="module")
def issuer() -> Iterator[real.RunningIssuer]:
    """Run the issuer."""
    if why := real.why_not():
        pytest.skip(why)
    with real.running() as found:
        yield found


def trusting(issuer: real.RunningIssuer, client: str = real.CLIENT) -> Issuer:
    """Return an `Issuer` that trusts it."""
    return Issuer(IssuerSettings(issuer.url, client))


async def test_a_valid_token(issuer):
    """It gives the user and the role of its claims; the issuer's endpoints are known."""
    token = issuer.id_token("developer-ada")
    async with trusting(issuer) as trusted:
        found = await trusted.identity(token)
        assert found == Identity("developer-ada@example.test", Role.DEVELOPER, Via.OIDC)
        assert (await trusted.endpoints()).device_authorization == f"{issuer.url}/device/auth"


async def test_invalid_tokens(issuer):
    """Forged, unsigned, signed with the public key as a secret, for another audience, or malformed."""
    token = issuer.id_token("admin-eve")
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    key = rsa.generate_private_key(65537, 2048)
    public = next(iter(httpx.get(f"{issuer.url}/jwks").json()["keys"]))
    pem = jwt.PyJWK(public).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    unsigned = ".".join([_part({"alg": "none", "kid": header["kid"]}), token.split(".")[1], ""])
    forged = {
        "Signature verification failed": jwt.encode(claims, key, "RS256", {"kid": header["kid"]}),
        "has no key made-up": jwt.encode(claims, key, "RS256", {"kid": "made-up"}),
        "The specified alg value is not allowed": _signed_with(pem, claims, header["kid"]),
        "alg": unsigned,
        "Not enough segments": "a",
        "token": "a.b.c",
    }
    async with trusting(issuer) as trusted:
        for why, one in forged.items():
            with pytest.raises(UnknownCallerError, match=why):
                await trusted.identity(one)
    async with trusting(issuer, "another") as trusted:
        with pytest.raises(UnknownCallerError, match="Audience doesn't match"):
            await trusted.identity(token)


async def test_new_keys_are_fetched():
    """A token with an unknown key makes the server fetch the keys, at most once in ten seconds."""
    if why := real.why_not():
        pytest.skip(why)
    with real.running() as first:
        trusted = trusting(first)
        await trusted.identity(first.id_token("viewer-bo"))
    trusted._fetched_at -= 60  # a minute goes by
    async with trusted:
        with pytest.raises(IssuerError, match="gave no valid answer"):
            await trusted.identity(jwt.encode({"sub": "x"}, "k" * 32, headers={"kid": "made-up"}))
        with real.running(urlsplit(first.url).port) as second:
            assert (await trusted.identity(second.id_token("viewer-bo"))).role is Role.VIEWER
            fetched_at = trusted._fetched_at
            with pytest.raises(UnknownCallerError):
                await trusted.identity(jwt.encode({"sub": "x"}, "k" * 32, headers={"kid": "made-up"}))
            assert trusted._fetched_at == fetched_at, "invalid tokens do not make the server fetch the keys again"


@pytest.mark.parametrize("url", ["http://accounts.example.com", "accounts.example.com", "", "ftp://localhost"])
def test_an_issuer_elsewhere_needs_tls(url):
    """Without TLS, any host on the network path could pose as the issuer."""
    with pytest.raises(ValueError, match="expected a URL such as https"):
        Issuer(IssuerSettings(url, "detour"))


def _part(value: dict[str, object]) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _signed_with(secret: bytes, claims: dict[str, object], kid: str) -> str:
    """Return a token that is signed by HMAC with a public value; PyJWT refuses to make one."""
    import hashlib
    import hmac

    signed = ".".join([_part({"alg": "HS256", "kid": kid}), _part({**claims, "exp": int(time.time()) + 60})])
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"
