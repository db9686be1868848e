"""What an application and its clients get of each other through Envoy is what they get without.

Each case is a request straight to the application and the same one by every way through Envoy. docs/transparency.md
says what differs all the same; the tests below it hold to that.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from detour.mesh import OffloadedDeployment, Service
from parts import edge_of, running_mesh
from wire import OK, Application, connected, exchange, listening

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAYS = ("sidecar", "override", "inbound", "edge", "outside")
OVERRIDE = b"baggage: override.route.users=pr-42\r\n"
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


@dataclass
class Ways:
    """An application, and the ports by which it is reached."""

    application: Application
    port: int
    ports: dict[str, int]

    async def straight(self, request: bytes) -> tuple[bytes, bytes]:
        """Send a request without Envoy; return what the application got, and what it answered."""
        return await self._exchange(self.port, request)

    async def through(self, way: str, request: bytes) -> tuple[bytes, bytes]:
        """Send a request by one of the ways; return the same, without what Envoy adds."""
        if way == "override":
            request = re.sub(rb"\r\n(?=\r\n)", b"\r\n" + OVERRIDE, request, count=1)
        if way == "outside":
            request = request.replace(b": users", f": 127.0.0.1:{self.port}".encode())
        got, answer = await self._exchange(self.ports[way], request)
        got = got.replace(OVERRIDE, b"").replace(f"127.0.0.1:{self.port}".encode(), b"users")
        return _without(ADDED_TO_REQUESTS, got), _without(ADDED_TO_RESPONSES, answer)

    async def _exchange(self, port: int, request: bytes) -> tuple[bytes, bytes]:
        self.application.served.clear()
        reply = self.application.reply
        end = reply[reply.rindex(b"\r\n\r\n") :]
        answer = await exchange(port, request, end, request.count(b" HTTP/"))
        return b"".join(self.application.served), answer


ADDED_TO_REQUESTS = (
    rb"x-forwarded-proto: http\r\n",
    rb"x-forwarded-for: [0-9.]+\r\n",  # these by an edge
    rb"x-request-id: [0-9a-f-]+\r\n",
)
ADDED_TO_RESPONSES = (rb"date: \w{3}, [^\r]*\r\n", rb"x-detour-served-by: [^\r]*\r\n")


def _without(patterns: tuple[bytes, ...], message: bytes) -> bytes:
    for pattern in patterns:
        message = re.sub(pattern, b"", message)
    return message


def asked(method: str = "GET", path: str = "/", *lines: str, body: str = "", version: str = "1.1") -> bytes:
    """Return a request to users, with some header lines."""
    head = [f"{method} {path} HTTP/{version}", "Host: users", *lines]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode("latin-1")


def answered(*lines: str, status: str = "200 OK", body: str = "ok") -> bytes:
    """Return a response with some header lines."""
    length = () if any(line.startswith("Transfer") for line in lines) else (f"Content-Length: {len(body)}",)
    head = [f"HTTP/1.1 {status}", *lines, *length]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode("latin-1")


MANY = [f"X-Number-{number}: {number}" for number in range(2000)]
LARGE = "X-Large: " + "a" * 1_000_000
CHUNKED = "Transfer-Encoding: chunked"
FROM_A_PROXY = [f"X-Forwarded-{name}" for name in ("For: 192.0.2.1", "Proto: https", "Host: h", "Port: 1")]

CASES: dict[str, tuple[bytes, bytes]] = {
    "nothing special": (asked(), OK),
    "many request headers": (asked("GET", "/", *MANY), OK),
    "a large request header": (asked("GET", "/", LARGE), OK),
    "a large cookie": (asked("GET", "/", "Cookie: a=" + "b" * 100_000), OK),
    "a long path": (asked("GET", "/" + "a" * 100_000), OK),
    "many response headers": (asked(), answered(*MANY)),
    "a large response header": (asked(), answered(LARGE)),
    "the case of header names": (
        asked("GET", "/", "X-CamelCase: 1", "SOAPAction: x", "x_Under_Score: 2", "ETag: 3"),
        answered("X-CamelCase: 1", "WWW-Authenticate: x", "ETag: 3"),
    ),
    "a reason of one's own": (asked(), answered(status="299 Quite Fine")),
    "an unknown status": (asked(), answered(status="799 Odd")),
    "an error of the application's": (asked(), answered(status="503 Sad", body="sorry, not ok")),
    "early hints": (asked(), b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK),
    "processing": (asked(), b"HTTP/1.1 102 Processing\r\n\r\n" + OK),
    "headers of Envoy's in a response": (asked(), answered("x-envoy-upstream-service-time: 7", "Server: mine")),
    "a date of the application's": (asked(), answered("Date: today")),
    "a path of dots and slashes": (asked("GET", "//a/../..//b/./c%2Fd\\e;f"), OK),
    "a path that holds %00": (asked("GET", "/a%00b%zz"), OK),
    "a path of odd characters": (asked("GET", '/a|b"<>{}^`[]?c={"d":[1|2]}&e[]=%ff'), OK),
    "bytes that are no ASCII in headers": (asked("GET", "/", "X-Name: \xe9\xff"), answered("X-Name: \xe9\xff")),
    "an odd header name": (asked("GET", "/", "X!#$%&'*+.^`|~: 1"), OK),
    "a body in GET": (asked("GET", "/", "Content-Length: 2", body="ab"), OK),
    "a body in DELETE": (asked("DELETE", "/", "Content-Length: 2", body="ab"), OK),
    "TRACE": (asked("TRACE"), OK),
    "a port in the host": (asked().replace(b"users\r", b"users:80\r"), OK),
    "a host in capitals": (asked().replace(b"users\r", b"Users\r"), OK),
    "credentials": (asked("GET", "/", "Authorization: a b", "Proxy-Authorization: c d"), OK),
    "a proxy in front": (asked("GET", "/", "Forwarded: for=1", "Via: 1.1 x", "X-Real-IP: 192.0.2.1"), OK),
    "what looks like an upgrade": (asked("GET", "/", "Upgrade-Insecure-Requests: 1"), OK),
    "a chunked body": (asked("POST", "/", CHUNKED, body="2\r\nab\r\n0\r\n\r\n"), OK),
    "QUERY": (asked("QUERY", "/", "Content-Type: a/b", "Content-Length: 2", body="ab"), OK),
    "no content": (asked(), b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": (asked(), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n"),
    "HEAD": (asked("HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    "two requests at once": (asked("GET", "/1") + asked("GET", "/2"), OK),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ways]:
    """Start the application, a sidecar and an edge."""
    application = Application()
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(listening(application.serve))
        services = [Service("users", (endpoint,))]
        deployments = [OffloadedDeployment("users", "pr-42", (endpoint,))]
        logs: Path = tmp_path_factory.mktemp("logs")
        mesh = await stack.enter_async_context(running_mesh(logs, services, deployments, edge_of(any="users")))
        sidecar = await mesh.sidecar(app_port=endpoint.port)
        edge = await mesh.edge(trust_overrides=False)
        ports = {
            "sidecar": sidecar.port,
            "override": sidecar.port,
            "inbound": sidecar.settings.inbound_port,
            "edge": edge.port,
            "outside": sidecar.port,
        }
        yield Ways(application, endpoint.port, ports)


@EVERY_WAY
@pytest.mark.parametrize("case", CASES)
async def test_it_passes_as_it_is(ways: Ways, way: str, case: str) -> None:
    """The same bytes reach the application, and the client, as without Envoy."""
    request, ways.application.reply = CASES[case]
    if way == "outside" and "host" in case:
        pytest.skip("a host outside the mesh has another name")
    assert await ways.through(way, request) == await ways.straight(request)


@EVERY_WAY
@pytest.mark.parametrize("method", ["OPTIONS", "PROPFIND", "M-SEARCH", "get"])
async def test_any_method_passes(ways: Ways, way: str, method: str) -> None:
    """Envoy adds that there is no body, and no more."""
    ways.application.reply = OK
    request = asked(method)
    got, answer = await ways.through(way, request)
    assert (got.replace(b"content-length: 0\r\n", b""), answer) == (request, OK)


@EVERY_WAY
async def test_http_1_0_is_answered_in_http_1_0(ways: Ways, way: str) -> None:
    """As nginx asks by default; the application gets HTTP/1.1, and a body of chunks comes as one."""
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    for ways.application.reply in (OK, chunks):
        got, answer = await ways.through(way, asked(version="1.0").replace(b"\r\n\r\n", b"\r\nA: b\r\n\r\n"))
        assert got == asked("GET", "/", "A: b")
        assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
        assert answer.endswith(b"connection: close\r\n\r\nok")


@pytest.mark.parametrize("way", ["inbound", "edge"])
async def test_http_1_0_needs_no_host(ways: Ways, way: str) -> None:
    """There was no such header then."""
    ways.application.reply = OK
    got, answer = await ways.through(way, b"GET / HTTP/1.0\r\n\r\n")
    assert got == b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")


@EVERY_WAY
async def test_trailers_pass(ways: Ways, way: str) -> None:
    """Those of requests and of responses; Envoy writes their names in lower case."""
    lines, body = ("TE: trailers", "Trailer: X-Sum", CHUNKED), "2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"
    ways.application.reply = answered("Trailer: X-Sum", CHUNKED, body=body)
    got, answer = await ways.through(way, asked("POST", "/", *lines, body=body))
    assert got == asked("POST", "/", *lines, body=body.replace("X-S", "x-s"))
    assert answer == ways.application.reply.replace(b"\r\nX-Sum", b"\r\nx-sum")


@EVERY_WAY
async def test_a_body_is_sent_once_the_application_wants_it(ways: Ways, way: str) -> None:
    """`Expect: 100-continue` and its answer are the application's affair; so is a refusal."""
    ways.application.reply = answered(status="417 No")
    host = f"127.0.0.1:{ways.port}" if way == "outside" else "users"
    head = asked("POST", "/", "Expect: 100-continue", "Content-Length: 0").replace(b"users", host.encode())
    async with connected(ways.ports[way]) as (reader, writer):
        writer.write(head)
        assert (await reader.readline()) == b"HTTP/1.1 417 No\r\n"
    assert b"Expect: 100-continue" in ways.application.served[-1]


@EVERY_WAY
@pytest.mark.parametrize("protocol", ["websocket", "tcp", "SPDY/3.1"])
async def test_connections_turn_into_others(ways: Ways, way: str, protocol: str) -> None:
    """WebSockets, and what Docker and Kubernetes speak; bytes pass both ways then."""
    lines = ("Connection: Upgrade", f"Upgrade: {protocol}")
    ways.application.reply = f"HTTP/1.1 101 Go On\r\n{lines[0]}\r\n{lines[1]}\r\n\r\n".encode()
    host = f"127.0.0.1:{ways.port}" if way == "outside" else "users"
    async with connected(ways.ports[way]) as (reader, writer):
        writer.write(asked("GET", "/", *lines).replace(b"users", host.encode()))
        head = await reader.readuntil(b"\r\n\r\n")
        assert _without(ADDED_TO_RESPONSES, head) == ways.application.reply
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"


@EVERY_WAY
@pytest.mark.parametrize("protocol", ["h2c", "TLS/1.2", "anything/7", "websocket2"])
async def test_other_upgrades_are_passed_over(ways: Ways, way: str, protocol: str) -> None:
    """A server may ignore the wish for another protocol (RFC 9110, section 7.8); clients that offer one go on."""
    ways.application.reply = OK
    settings = "HTTP2-Settings: AAMAAABkAAQAAP__"
    lines = ["Connection: Upgrade, HTTP2-Settings", settings] if protocol == "h2c" else ["Connection: Upgrade"]
    assert await ways.through(way, asked("GET", "/", *lines, f"Upgrade: {protocol}")) == (asked(), OK)


@EVERY_WAY
async def test_a_fragment_is_cut_off(ways: Ways, way: str) -> None:
    """It has no place in a request; but some clients send it."""
    ways.application.reply = OK
    assert await ways.through(way, asked("GET", "/a?b#c")) == (asked("GET", "/a?b"), OK)


@pytest.mark.parametrize("way", ["sidecar", "override", "edge"])
async def test_a_dot_at_the_end_of_a_host_is_the_same_host(ways: Ways, way: str) -> None:
    """As it is to DNS."""
    ways.application.reply = OK
    assert await ways.through(way, asked().replace(b"users", b"users.")) == (asked(), OK)


@EVERY_WAY
async def test_no_header_of_envoys_reaches_anybody(ways: Ways, way: str) -> None:
    """Neither the application nor the client; not even those that say what an edge found out."""
    ways.application.reply = answered("Server: mine")
    got, answer = await ways.through(way, asked())
    assert b"envoy" not in got.lower() + answer.lower()


@EVERY_WAY
@pytest.mark.parametrize("request_", [asked("OPTIONS", "*"), asked("GET", "/\xc3\xbc")])
async def test_what_envoy_cannot_pass_on(ways: Ways, way: str, request_: bytes) -> None:
    """docs/transparency.md says so; once these pass, it has to change."""
    ways.application.reply = b"HTTP/1.1 204 No Content\r\n\r\n"
    got, answer = await ways.through(way, request_)
    assert (got, answer[:10]) == (b"", b"HTTP/1.1 4")
