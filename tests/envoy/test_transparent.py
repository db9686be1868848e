"""Transparent mode: real rules, in a pod's own network, lead clients that know of no proxy to a real sidecar."""

import asyncio
import json
import os
import shlex
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from detour.envoy import Sidecar, find_envoy, sidecar_bootstrap, start_envoy
from detour.envoy.private_folder import private_folder
from detour.mesh import Endpoint, Mesh, OffloadedDeployment, Protocol, Service
from detour.xds.server import AdsServer
from injection.pod_network import GATEWAY, POD, POD_6, UID, Namespace, PodNetwork, missing, pod_network
from parts import both_instance, grpc_instance
from server_certificate import certificate

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

USERS, USERS_PR, ELSEWHERE, NOWHERE = "10.213.1.1", "10.213.1.2", "10.213.1.3", "10.213.1.4"
EXCLUDED_PORT = 8099
OVERRIDE = "baggage: override.route.users=pr-42"


MESH = Mesh.of(
    [Service("users", (Endpoint(USERS, 8080),), Protocol.HTTP1)],
    [OffloadedDeployment("users", "pr-42", (Endpoint(USERS_PR, 8080),))],
)
CALL = """
import sys
import grpc

address, authority, baggage = sys.argv[1:]
options = [("grpc.default_authority", authority), ("grpc.enable_http_proxy", 0)]
with grpc.insecure_channel(address, options=options) as channel:
    call = channel.unary_unary("/test.Echo/Unary")
    print(call(b"a", metadata=[("baggage", baggage)], timeout=20).decode())
"""
"""A gRPC client: it connects to an address, and names a host."""


@dataclass
class Pod:
    """A pod with its sidecar, whose connections are redirected, and the hosts around it."""

    network: PodNetwork

    async def curl(self, url: str, *options: str) -> dict:
        """Call an HTTP instance from the pod, as an application does; return what it answers."""
        return json.loads(await self.text(url, *options))

    async def text(self, url: str, *options: str) -> str:
        """Call anything; return the body."""
        command = ["curl", "-sS", "--noproxy", "*", "--max-time", "15", *options, url]
        return await asyncio.to_thread(self.network.pod.run, *command)

    async def status(self, url: str, *options: str) -> int:
        """Call anything; return the status."""
        return int(await self.text(url, "-o", "/dev/null", "-w", "%{http_code}", *options))

    async def knows(self, host: str, address: str) -> None:
        """Wait until the sidecar knows a host: until then, its requests go to an address without a server."""
        async with asyncio.timeout(20):
            while f"- at {address}" in await self.text(f"http://{address}/", "-H", f"Host: {host}"):
                await asyncio.sleep(0.05)

    async def stat(self, name: str) -> int:
        """Read one of Envoy's counters."""
        answer = await self.text(f"http://127.0.0.1:15000/stats?filter=^{name}$")
        return int(answer.partition(": ")[2])


@contextmanager
def http_host(hosts: Namespace, address: str, port: int, name: str) -> Iterator[None]:
    """Run an HTTP instance that answers who it is, who called and what it was sent."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            said = {"instance": name, "caller": self.client_address[0], "headers": dict(self.headers.items())}
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, port), Answer, bind_and_activate=False)
    server.daemon_threads = True
    server.socket.close()
    server.socket = hosts.listen(address, port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def tcp_host(listening: socket.socket, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Run a server that treats one connection after the other."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    serve(connection)

    thread = Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        listening.close()


def greet(connection: socket.socket) -> None:
    """Speak first, then echo one message."""
    connection.sendall(b"220 at your service\r\n")
    connection.sendall(connection.recv(100))


def talk(address: str, port: int) -> tuple[bytes, bytes]:
    """Hear a greeting before saying anything; return it and the echo."""
    with socket.create_connection((address, port), timeout=10) as connection:
        greeting = connection.recv(100)
        connection.sendall(b"EHLO\r\n")
        return greeting, connection.recv(100)


@pytest.fixture
def network() -> Iterator[PodNetwork]:
    """Make a pod's network with hosts that answer HTTP: users, its deployment, and one outside the mesh."""
    with pod_network() as made:
        for address in (USERS, USERS_PR, ELSEWHERE, NOWHERE):
            made.add_host(f"{address}/32")
        with (
            http_host(made.hosts, USERS, 8080, "users-1"),
            http_host(made.hosts, USERS_PR, 8080, "users-pr-42"),
            http_host(made.hosts, ELSEWHERE, 80, "elsewhere"),
            http_host(made.hosts, ELSEWHERE, EXCLUDED_PORT, "excluded"),
        ):
            yield made


@pytest.fixture
async def pod(network: PodNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pod]:
    """Run the pod."""
    async with running_pod(network, tmp_path, monkeypatch) as made:
        yield made


@asynccontextmanager
async def running_pod(
    network: PodNetwork, folder: Path, monkeypatch: pytest.MonkeyPatch, mesh: Mesh = MESH
) -> AsyncIterator[Pod]:
    """Start the control plane among the hosts and the sidecar in the pod; redirect the pod's connections."""
    ads = AdsServer(mesh)
    with network.hosts.entered():
        port = await ads.start(f"{GATEWAY}:0")
    try:
        async with pod_of(network, port, folder, monkeypatch) as pod:
            yield pod
    finally:
        await ads.stop()


@asynccontextmanager
async def pod_of(
    network: PodNetwork, port: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pod]:
    """Start a pod with a sidecar whose control plane is said to be at a port."""
    redirect(network, f"--exclude-port={EXCLUDED_PORT}")
    monkeypatch.setenv("DETOUR_ENVOY", str(envoy_inside(network.pod, folder)))
    sidecar = Sidecar("caller", "caller-1", control_plane=f"{GATEWAY}:{port}", transparent_port=15001)
    process = start_envoy(sidecar_bootstrap(sidecar), folder / "envoy.log", folder=_folder_of_the_user())
    try:
        await network.pod.call(lambda: asyncio.run(process.ready(20)))
        yield Pod(network)
    finally:
        await process.stop()


def redirect(network: PodNetwork, *options: str) -> None:
    """Do what the pod's init container does, with no more rights than it has."""
    rights = "-all,+net_admin,+net_raw"
    limited = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
    network.pod.run(*limited, sys.executable, "-m", "detour", "redirect", *options)


def _folder_of_the_user() -> Path:
    """Make a folder that is the sidecar's user's own."""
    made = private_folder()
    os.chown(made, UID, UID)
    return made


def envoy_inside(pod: Namespace, folder: Path) -> Path:
    """Return a program that runs Envoy in the pod as the sidecar's user, and ends with the test."""
    user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--pdeathsig=TERM"]
    command = shlex.join(["nsenter", f"--net={pod.path}", *user, str(find_envoy())])
    program = folder / "envoy"
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    return program


def at(name: str, address: str, port: int = 80) -> tuple[str, str]:
    """Return what makes curl find a name, as the cluster's DNS would."""
    return "--resolve", f"{name}:{port}:{address}"


async def test_http_to_a_service_reaches_its_instances(pod: Pod) -> None:
    """By the host that the request names: nobody listens at the address that it was sent to."""
    answer = await pod.curl("http://users/", *at("users", NOWHERE))
    assert (answer["instance"], answer["caller"]) == ("users-1", POD)
    assert (await pod.curl("http://users:8080/", *at("users", NOWHERE, 8080)))["instance"] == "users-1"


async def test_an_override_reaches_the_deployment(pod: Pod) -> None:
    """Also where the service's own address would answer."""
    to_users = ("http://users:8080/", *at("users", USERS, 8080))
    assert (await pod.curl(*to_users, "-H", OVERRIDE))["instance"] == "users-pr-42"
    assert (await pod.curl(*to_users))["instance"] == "users-1"


@pytest.mark.parametrize("version", ["--http2-prior-knowledge", "--http1.0"])
async def test_other_versions_are_http_too(pod: Pod, version: str) -> None:
    """HTTP/2 as gRPC speaks it, and HTTP/1.0 as nginx does."""
    options = (version, "-H", OVERRIDE, *at("users", NOWHERE))
    assert (await pod.curl("http://users/", *options))["instance"] == "users-pr-42"


async def test_what_is_not_declared_speaks_what_its_caller_speaks(
    network: PodNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP/1.1, h2c and gRPC, with and without an override; a port that is declared as tcp takes them as well."""
    listen = network.hosts.listen
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        web = await start(both_instance("web-1", listen(USERS, 8081)))
        web_pr = await start(both_instance("web-pr-42", listen(USERS_PR, 8081)))
        with network.hosts.entered():
            greeter, greeter_pr = [
                await start(grpc_instance(f"greeter-{name}", address))
                for name, address in (("1", USERS), ("pr-42", USERS_PR))
            ]
        mesh = Mesh.of(
            [
                Service("web", (web,)),
                Service("greeter", (greeter,)),
                Service("tcp-web", (web,), Protocol.TCP),
                Service("tcp-greeter", (greeter,), Protocol.TCP),
            ],
            [
                OffloadedDeployment("web", "pr-42", (web_pr,)),
                OffloadedDeployment("greeter", "pr-42", (greeter_pr,)),
            ],
        )
        pod = await start(running_pod(network, tmp_path, monkeypatch, mesh))
        override = "override.route.web=pr-42,override.route.greeter=pr-42"
        for host, baggage, instance in (
            ("web", "a=b", "1"),
            ("web", override, "pr-42"),
            ("tcp-web", override, "1"),
        ):
            grpc_host = host.replace("web", "greeter")
            for one in (host, f"{grpc_host}:50051"):
                await pod.knows(one, NOWHERE)
            for option, version in (("--http1.0", "1.1"), ("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")):
                options = (option, "-H", f"baggage: {baggage}", *at(host, NOWHERE))
                answer = await pod.curl(f"http://{host}/", *options)
                assert answer == {"instance": f"web-{instance}", "version": version}
            arguments = (sys.executable, "-c", CALL, f"{NOWHERE}:50051", f"{grpc_host}:50051", baggage)
            said = await asyncio.to_thread(network.pod.run, *arguments)
            assert said == f"greeter-{instance}:a\n"


@pytest.mark.parametrize("host", ["elsewhere.test", "10.213.1.1:8080", "localhost", "ELSEWHERE.test:80"])
async def test_http_outside_the_mesh_goes_where_it_was_sent(pod: Pod, host: str) -> None:
    """Not to what its Host header says: no name is resolved, and no address in a header is believed."""
    lies = ("-H", f"Host: {host}", "-H", f"x-envoy-original-dst-host: {USERS}:8080")
    answer = await pod.curl(f"http://{ELSEWHERE}/", *lies)
    assert (answer["instance"], answer["headers"]["Host"]) == ("elsewhere", host)


async def test_overrides_stay_in_the_mesh(pod: Pod) -> None:
    """Other people's baggage goes on."""
    answer = await pod.curl(f"http://{ELSEWHERE}/", "-H", f"{OVERRIDE},a=b")
    assert answer["headers"]["baggage"] == "a=b"


async def test_two_addresses_of_one_host_are_kept_apart(pod: Pod) -> None:
    """A connection to one is not used again for the other."""
    for address, port, name in ((ELSEWHERE, 80, "elsewhere"), (USERS, 8080, "users-1")) * 2:
        answer = await pod.curl(f"http://{address}:{port}/", "-H", "Host: same.test")
        assert answer["instance"] == name


@pytest.mark.parametrize("host", ["outside", "application", "control-plane", "@application", "@control-plane"])
async def test_no_host_leads_to_a_cluster_of_the_sidecars_own(pod: Pod, host: str) -> None:
    """They are names like any other, of hosts outside the mesh; with an @ they are refused."""
    options = (f"http://{ELSEWHERE}/", "-H", f"Host: {host}")
    if host.startswith("@"):
        assert await pod.status(*options) == 400
    else:
        assert (await pod.curl(*options))["instance"] == "elsewhere"


async def test_tls_passes_untouched(pod: Pod, tmp_path: Path) -> None:
    """The client sees the certificate of the server that it connected to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate("secret.test", tmp_path))

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1000)
            secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret")
            secure.unwrap()

    with tcp_host(pod.network.hosts.listen(ELSEWHERE, 443), serve):
        options = ("--cacert", str(tmp_path / "server.pem"), *at("secret.test", ELSEWHERE, 443))
        assert await pod.text("https://secret.test/", *options) == "secret"


@pytest.mark.parametrize("port", [25, 7000])
async def test_a_protocol_whose_server_speaks_first_passes(pod: Pod, port: int) -> None:
    """At once on its well-known port, after a moment elsewhere."""
    with tcp_host(pod.network.hosts.listen(ELSEWHERE, port), greet):
        said = await pod.network.pod.call(talk, ELSEWHERE, port)
    assert said == (b"220 at your service\r\n", b"EHLO\r\n")


async def test_an_excluded_port_is_left_alone(pod: Pod) -> None:
    """A request that would have been the mesh's arrives at the very address."""
    answer = await pod.curl(f"http://{ELSEWHERE}:{EXCLUDED_PORT}/", "-H", "Host: users", "-H", OVERRIDE)
    assert answer["instance"] == "excluded"
    assert answer["headers"]["baggage"] == "override.route.users=pr-42"


async def test_the_sidecars_own_connections_do_not_come_back_to_it(pod: Pod) -> None:
    """One connection of a client is one connection of the listener."""
    for _ in range(3):
        await pod.curl("http://users/", *at("users", NOWHERE))
        await pod.curl(f"http://{ELSEWHERE}/")
    assert await pod.stat("listener.127.0.0.1_15001.downstream_cx_total") == 6


async def test_the_listener_does_not_connect_to_itself(pod: Pod) -> None:
    """Who connects to it without being redirected is told so, or hung up on: it is not passed on for ever."""
    assert await pod.status("http://127.0.0.1:15001/") == 421
    assert b"400 Bad Request" in await pod.network.pod.call(babble, "127.0.0.1", 15001)
    assert await pod.stat("listener.127.0.0.1_15001.downstream_cx_total") == 2


def babble(address: str, port: int) -> bytes:
    """Say what is no HTTP; return the answer."""
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.sendall(b"\x00\x01\r\n\r\n")
        return connection.recv(1000)


async def test_without_a_control_plane_all_goes_where_it_was_sent(
    network: PodNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the pod's start on, and also where its name means nothing to DNS; overrides are refused."""
    async with pod_of(network, 1, tmp_path, monkeypatch) as pod:
        to_users = ("http://users:8080/", *at("users", USERS, 8080))
        for options in ((), ("-H", "baggage: a=b")):
            assert (await pod.curl(*to_users, *options))["instance"] == "users-1"
        lies = ("-H", "Host: users", "-H", f"x-envoy-original-dst-host: {USERS}:8080")
        assert (await pod.curl(f"http://{ELSEWHERE}/", *lies))["instance"] == "elsewhere"
        assert await pod.status(*to_users, "-H", OVERRIDE) == 503
        with tcp_host(pod.network.hosts.listen(ELSEWHERE, 25), greet):
            said = await pod.network.pod.call(talk, ELSEWHERE, 25)
        assert said == (b"220 at your service\r\n", b"EHLO\r\n")


async def test_a_name_that_the_control_plane_does_not_say_goes_where_it_was_sent(
    network: PodNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control plane ends, and then the pod calls somebody new."""
    async with running_pod(network, tmp_path, monkeypatch) as pod:
        assert (await pod.curl("http://users/", *at("users", NOWHERE)))["instance"] == "users-1"
        network.pod.run("iptables", "-I", "OUTPUT", "-d", GATEWAY, "-j", "DROP")
        for name in ("one", "another"):
            answer = await pod.curl(f"http://{name}/", *at(name, ELSEWHERE))
            assert answer["instance"] == "elsewhere"
        assert (await pod.curl("http://users/", *at("users", NOWHERE)))["instance"] == "users-1"


async def test_redirecting_twice_is_redirecting_once(pod: Pod) -> None:
    """An init container may be run again; its last options count."""
    before = pod.network.pod.run("iptables", "-t", "nat", "-S")
    redirect(pod.network, f"--exclude-port={EXCLUDED_PORT}")
    assert pod.network.pod.run("iptables", "-t", "nat", "-S") == before
    redirect(pod.network, "--exclude-cidr=10.213.1.3/32")
    rules = pod.network.pod.run("iptables", "-t", "nat", "-S")
    assert str(EXCLUDED_PORT) not in rules
    assert rules.count("-j DETOUR\n") == 1


async def test_ipv6_reaches_the_mesh_and_the_world_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules, made with ip6tables; what is outside the mesh keeps its IPv6 address."""
    with pod_network(ipv6=True) as network:
        for address in (f"{USERS}/32", "fd00:d37:1::3/128"):
            network.add_host(address)
        with (
            http_host(network.hosts, USERS, 8080, "users-1"),
            http_host(network.hosts, "fd00:d37:1::3", 80, "elsewhere"),
        ):
            async with running_pod(network, tmp_path, monkeypatch) as pod:
                there = "http://[fd00:d37:1::3]/"
                assert (await pod.curl(there, "-H", "Host: users"))["instance"] == "users-1"
                answer = await pod.curl(there)
                assert (answer["instance"], answer["caller"]) == ("elsewhere", POD_6)


def test_ipv6_is_redirected_where_there_is_ipv6() -> None:
    """By ip6tables; a pod without an address of it gets no rules there."""
    for ipv6 in (True, False):
        with pod_network(ipv6=ipv6) as network:
            redirect(network)
            done = subprocess.run(
                ["ip", "netns", "exec", network.pod.name, "ip6tables", "-t", "nat", "-S"],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            assert ("--to-ports 15001" in done.stdout) is ipv6
