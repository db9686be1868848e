"""A stock Envoy with a namespace's certificate, mounted as a kubelet does, and a change of authority under it."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
from cryptography import x509

from certificates.conftest import TERMS, applied
from detour.certificates.contents import authorities_of, leaf_change
from detour.certificates.identity import detour_server, namespace_of, sidecar
from detour.certificates.material import ServerTls, material_of
from detour.envoy import Sidecar, sidecar_bootstrap, start_envoy
from detour.envoy.identity import ClientTls, sds_files
from parts import http_instance
from ports import free_port

DEADLINE = 30
DAY = timedelta(days=1)


class Secrets:
    """What a keeper would have written at a time, for the server and for the namespace `shop`."""

    def __init__(self) -> None:
        self.authority = self.server = self.sidecar = None

    def keep(self, now) -> None:
        authorities, change = authorities_of(self.authority, now, TERMS)
        self.authority = applied(self.authority, change) if change else self.authority
        self.server = self._kept(self.server, detour_server("detour"), authorities, now)
        self.sidecar = self._kept(self.sidecar, sidecar("shop"), authorities, now)

    def _kept(self, data, subject, authorities, now):
        change = leaf_change(data, subject, authorities, now, TERMS)
        return applied(data, change) if change else data


def mount(folder: Path, data: dict[str, bytes]) -> None:
    """Put a Secret's content in place all at once: `..data` is a link to one of two folders, as with a kubelet."""
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    for name, content in data.items():
        (version / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..next").symlink_to(version.name)
    (folder / "..next").rename(folder / "..data")


class ControlPlane(grpc.GenericRpcHandler):
    """Takes streams, notes who opened them, and ends each after a moment, so that the Envoy connects anew."""

    def __init__(self) -> None:
        self.peers: list[tuple[str | None, int]] = []

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(self.stream)

    async def stream(self, requests, context):
        await anext(aiter(requests))
        peer = context.auth_context()
        shown = x509.load_pem_x509_certificate(peer["x509_pem_cert"][0])
        self.peers.append((namespace_of(peer), shown.serial_number))
        return
        yield


@asynccontextmanager
async def served(plane: ControlPlane, serving: ServerTls):
    """Run the control plane; give its port. Connections end soon, so that there are handshakes."""
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_connection_age_ms", 200),
        ("grpc.max_connection_age_grace_ms", 0),
    ]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers([plane])
    port = server.add_secure_port("127.0.0.1:0", serving.grpc_credentials())
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.02)


async def test_an_envoy_goes_through_a_change_of_authority(tmp_path, now):
    """It shows the new certificate, and trusts the server's, without a restart."""
    secrets, plane = Secrets(), ControlPlane()
    succession = now - 2 * DAY
    for moment in (succession - TERMS.authority + TERMS.succession, now - 5 * DAY, succession + DAY / 10):
        secrets.keep(moment)
    folder = tmp_path / "tls"
    folder.mkdir()
    tls = ClientTls(str(folder), "detour.detour.svc")
    files = {name: text.encode() for name, text in sds_files(tls).items()}
    mount(folder, secrets.sidecar | files)
    serving = ServerTls(material_of(secrets.server))
    async with served(plane, serving) as port:
        envoy = Sidecar(
            "users",
            "users-1",
            control_plane=f"127.0.0.1:{port}",
            tls=tls,
            **{name: free_port() for name in ("outbound_port", "admin_port")},
        )
        process = start_envoy(sidecar_bootstrap(envoy), tmp_path / "envoy.log")
        try:
            await until(lambda: plane.peers)
            first = x509.load_pem_x509_certificate(secrets.sidecar["tls.crt"])
            assert plane.peers[0] == ("shop", first.serial_number)
            secrets.keep(now)
            serving.use(material_of(secrets.server))
            mount(folder, secrets.sidecar | files)
            second = x509.load_pem_x509_certificate(secrets.sidecar["tls.crt"])
            assert second.issuer != first.issuer
            await until(lambda: plane.peers[-1] == ("shop", second.serial_number))
        finally:
            await process.stop()


async def test_an_envoy_whose_certificate_is_not_made_yet_serves_all_the_same(tmp_path, now):
    """A pod starts before its namespace has a certificate; its sidecar connects as soon as there is one."""
    secrets, plane = Secrets(), ControlPlane()
    secrets.keep(now)
    folder = tmp_path / "tls"
    folder.mkdir()
    tls = ClientTls(str(folder), "detour.detour.svc")
    files = {name: text.encode() for name, text in sds_files(tls).items()}
    mount(folder, files)
    async with served(plane, ServerTls(material_of(secrets.server))) as port, http_instance("users-1") as users:
        ports = {name: free_port() for name in ("outbound_port", "admin_port")}
        envoy = Sidecar("users", "users-1", control_plane=f"127.0.0.1:{port}", tls=tls, **ports)
        process = start_envoy(sidecar_bootstrap(envoy), tmp_path / "envoy.log")
        try:
            await process.ready()
            proxy = f"http://127.0.0.1:{ports['outbound_port']}"
            async with httpx.AsyncClient(proxy=proxy, timeout=20, trust_env=False) as client:
                answer = await client.get(f"http://users.localhost:{users.port}/")
            assert answer.json()["instance"] == "users-1"
            assert plane.peers == []
            mount(folder, secrets.sidecar | files)
            await until(lambda: plane.peers)
        finally:
            await process.stop()
