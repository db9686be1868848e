"""What a bootstrap says of a sidecar in Kubernetes: probes, no inbound hop, and mutual TLS with rotation."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from detour.envoy import Sidecar, sidecar_bootstrap, start_envoy
from detour.envoy.identity import ClientTls, sds_files
from parts import MeshUnderTest
from ports import free_port

SERVER = "detour.test"
PEM = serialization.Encoding.PEM


def in_kubernetes(**changes: object) -> Sidecar:
    """Return a sidecar as pods have it, on free ports."""
    ports = {name: free_port() for name in ("outbound_port", "admin_port", "probe_port")}
    sidecar = Sidecar("users", "users-1", namespace="shop", probe_address="127.0.0.1", **ports)
    return replace(sidecar, **{"control_plane": f"127.0.0.1:{free_port()}", **changes})


@asynccontextmanager
async def running(sidecar: Sidecar, folder: Path) -> AsyncIterator[None]:
    """Run its Envoy."""
    process = start_envoy(sidecar_bootstrap(sidecar), folder / "envoy.log")
    try:
        await process.ready(20)
        yield
    finally:
        await process.stop()


def test_without_an_application_port_there_is_no_inbound_hop() -> None:
    """Neither a listener nor a cluster; the namespace is told to the control plane."""
    bootstrap = sidecar_bootstrap(in_kubernetes())
    resources = bootstrap["static_resources"]
    assert [one["name"] for one in listening(bootstrap)] == ["outbound", "probe"]
    assert "@application" not in [one["name"] for one in resources["clusters"]]
    metadata = bootstrap["node"]["metadata"]
    assert {**metadata, "ports": []} == {"role": "sidecar", "version": "0.1.0", "namespace": "shop", "ports": []}


def test_addresses_may_be_text_that_kubernetes_replaces() -> None:
    """As in a container's arguments."""
    bootstrap = sidecar_bootstrap(in_kubernetes(probe_address="$(POD_IP)", instance="$(POD_NAME)"))
    addresses = [one["address"]["socket_address"]["address"] for one in listening(bootstrap)]
    assert (bootstrap["node"]["id"], addresses) == ("$(POD_NAME)", ["127.0.0.1", "$(POD_IP)"])


def listening(bootstrap: dict) -> list[dict]:
    """Return the listeners that have a port, but for the admin port's."""
    listeners = bootstrap["static_resources"]["listeners"]
    return [one for one in listeners if "address" in one and one["name"] != "admin"]


async def test_the_probe_answers_once_envoy_is_live(tmp_path: Path) -> None:
    """200 on /ready alone; that port tells nothing else."""
    sidecar = in_kubernetes()
    async with running(sidecar, tmp_path), httpx.AsyncClient(trust_env=False) as kubelet:
        at = f"http://127.0.0.1:{sidecar.probe_port}"
        assert (await kubelet.get(f"{at}/ready")).status_code == 200
        assert (await kubelet.get(f"{at}/stats")).status_code == 404


async def test_the_control_plane_is_no_host(mesh: MeshUnderTest) -> None:
    """Nor is any other cluster of a sidecar's own: a request for it is refused, or is an unknown host's."""
    client = await mesh.sidecar()
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{client.port}") as direct:
        for name in ("control-plane", "application"):
            assert "the mesh has no service" in (await direct.get("/", headers={"host": name})).text
            assert (await direct.get("/", headers={"host": f"@{name}"})).status_code == 400


@dataclass
class Authority:
    """A certificate authority, and the folders that it fills."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def name(self) -> x509.Name:
        """Its name."""
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])

    def certificate(self, name: str, public: ec.EllipticCurvePublicKey, *, is_authority: bool = False) -> bytes:
        """Issue a certificate."""
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = (
            x509.CertificateBuilder(self.name, subject, public, x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return made.sign(self.key, hashes.SHA256()).public_bytes(PEM)

    def write(self, folder: Path, name: str) -> None:
        """Put an identity into a folder, as the kubelet replaces a volume: all files change at once."""
        key = ec.generate_private_key(ec.SECP256R1())
        version = folder / f"..{x509.random_serial_number()}"
        version.mkdir(parents=True)
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (version / "tls.key").write_bytes(private)
        (version / "tls.crt").write_bytes(self.certificate(name, key.public_key()))
        (version / "ca.crt").write_bytes(self.certificate("authority", self.key.public_key(), is_authority=True))
        for file, text in sds_files(ClientTls(str(folder))).items():
            (version / file).write_text(text)
        (folder / "..data_tmp").symlink_to(version.name)
        (folder / "..data_tmp").rename(folder / "..data")
        for file in version.iterdir():
            if not (folder / file.name).is_symlink():
                (folder / file.name).symlink_to(f"..data/{file.name}")


@asynccontextmanager
async def control_plane(folder: Path) -> AsyncIterator[tuple[int, list[str]]]:
    """Run a server that does the handshake and hangs up; yield its port and the names of those who came."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    came: list[str] = []

    async def meet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = writer.get_extra_info("peercert")["subject"]
        came.append(dict(part[0] for part in subject)["commonName"])
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], came


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_rotated_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    """A new version of the Secret is what the next connection is made with."""
    authority, own = Authority(), tmp_path / "own"
    authority.write(tmp_path / "server", SERVER)
    authority.write(own, "before")
    async with control_plane(tmp_path / "server") as (port, came):
        tls = ClientTls(str(own), SERVER)
        async with running(in_kubernetes(tls=tls, control_plane=f"127.0.0.1:{port}"), tmp_path):
            await until(lambda: "before" in came)
            authority.write(own, "after")
            await until(lambda: "after" in came)
            came.clear()
            await until(lambda: bool(came))
            assert set(came) == {"after"}


@pytest.mark.parametrize("impostor", ["another name", "another authority"])
async def test_nobody_else_is_taken_for_the_control_plane(tmp_path: Path, impostor: str) -> None:
    """A certificate of the same authority for another name, such as another sidecar's, is none of it."""
    authority, own = Authority(), tmp_path / "own"
    others = Authority() if impostor == "another authority" else authority
    others.write(tmp_path / "server", SERVER if others is not authority else "users.shop")
    authority.write(own, "users")
    async with control_plane(tmp_path / "server") as (port, came):
        sidecar = in_kubernetes(tls=ClientTls(str(own), SERVER), control_plane=f"127.0.0.1:{port}")
        async with running(sidecar, tmp_path), httpx.AsyncClient(trust_env=False) as admin:
            stat = "cluster.control-plane.ssl.fail_verify"
            async with asyncio.timeout(20):
                while not await failures(admin, sidecar, stat):
                    await asyncio.sleep(0.02)
        assert came == []


async def failures(admin: httpx.AsyncClient, sidecar: Sidecar, stat: str) -> int:
    """Count the certificates that Envoy refused."""
    answer = await admin.get(f"http://127.0.0.1:{sidecar.admin_port}/stats?filter={stat}")
    return sum(int(line.partition(": ")[2]) for line in answer.text.splitlines())
