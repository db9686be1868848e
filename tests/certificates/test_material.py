"""HTTPS whose certificate changes while it serves, and what is refused as a certificate."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn

from certificates.conftest import TERMS, server_material, sidecar_pair
from detour.certificates.authority import new_authority
from detour.certificates.material import Material, ServerTls, UnfitMaterialError, material_of

DEADLINE = 10


async def answer(scope, receive, send) -> None:
    """Greet, whatever was asked."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Server(uvicorn.Server):
    """Uvicorn that says when it serves."""

    def __init__(self, serving: ServerTls) -> None:
        super().__init__(
            uvicorn.Config(
                answer,
                port=0,
                lifespan="off",
                log_config=None,
                ws="none",
                ssl_context_factory=lambda _config, _default: serving.https,
            )
        )
        self.up = asyncio.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def served(serving: ServerTls):
    """Run a webhook's server; give its port."""
    server = Server(serving)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(DEADLINE):
            await server.up.wait()
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


def client(bundle: bytes) -> httpx2.AsyncClient:
    """Connect as the API server does: by the webhook's name, trusting its caBundle."""
    context = ssl.create_default_context(cadata=bundle.decode())
    return httpx2.AsyncClient(verify=context, trust_env=False)


async def ask(http: httpx2.AsyncClient, port: int) -> tuple[str, bytes]:
    """Ask once; return the answer and the certificate that was shown."""
    name = "detour-webhook.detour.svc"
    url, extensions = f"https://127.0.0.1:{port}", {"sni_hostname": name}
    async with http.stream("GET", url, headers={"host": name}, extensions=extensions) as answer:
        shown = answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert(binary_form=True)
        return (await answer.aread()).decode(), shown


def der(material: Material) -> bytes:
    """Return a certificate as it goes over the wire."""
    return ssl.PEM_cert_to_DER_cert(material.certificate.decode())


async def test_a_new_certificate_is_shown_and_open_connections_go_on(authority, now):
    """The context that serves is the same one all the time."""
    first, second = server_material(authority, now), server_material(authority, now)
    serving = ServerTls(first)
    async with served(serving) as port, client(authority.certificate) as old, client(authority.certificate) as new:
        assert await ask(old, port) == ("hello", der(first))
        serving.use(second)
        assert await ask(new, port) == ("hello", der(second))
        assert await ask(old, port) == ("hello", der(first))


async def test_who_does_not_trust_the_authority_is_not_served(authority, now):
    """The API server with a caBundle of before."""
    other = new_authority(now, TERMS)
    async with served(ServerTls(server_material(authority, now))) as port, client(other.certificate) as http:
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await ask(http, port)


def test_what_is_no_certificate_with_its_key_changes_nothing(authority, now):
    """A server goes on with what it has."""
    good = server_material(authority, now)
    serving = ServerTls(good)
    for broken in (
        Material(good.certificate, server_material(authority, now).key, good.authorities),
        Material(b"", b"", good.authorities),
        Material(good.certificate[:100], good.key, good.authorities),
    ):
        with pytest.raises(UnfitMaterialError, match=r"tls.crt and tls.key are not a certificate and its key"):
            serving.use(broken)
    assert serving.material == good


@pytest.mark.parametrize("bundle", [b"", b"edited", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_secret_without_authorities_is_refused(authority, now, bundle):
    """Nobody could connect with it."""
    pair = sidecar_pair(authority, now)
    with pytest.raises(UnfitMaterialError, match=r"ca.crt does not contain a certificate of an authority"):
        material_of({"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": bundle})


def descriptors() -> int:
    """Count the files that this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_key_is_left_in_a_file(authority, now):
    """The descriptor is closed, also when the content is refused."""
    before = descriptors()
    serving = ServerTls(server_material(authority, now))
    with pytest.raises(UnfitMaterialError):
        serving.use(Material(b"x", b"y", b"z"))
    assert descriptors() == before
