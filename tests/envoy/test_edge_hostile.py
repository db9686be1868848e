"""Requests from outside that are made to slip through an edge, each after a published case."""

import asyncio
from types import MappingProxyType

import httpx
import pytest

from detour.mesh import Scenarios, ScenariosApplied, SettingsApplied
from detour.overrides import parse_words
from parts import Client, MeshUnderTest, edge_of

HOST = "checkout.preview.example.test"
INTERNAL = {
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-upstream-rq-per-try-timeout-ms": "1",
    "x-envoy-expected-rq-timeout-ms": "1",
    "x-envoy-retry-on": "5xx",
    "x-envoy-max-retries": "10",
    "x-envoy-retry-grpc-on": "internal",
    "x-envoy-retriable-status-codes": "200",
    "x-envoy-hedge-on-per-try-timeout": "true",
    "x-envoy-internal": "true",
    "x-envoy-ip-tags": "office",
    "x-envoy-force-trace": "true",
    "x-envoy-decorator-operation": "admin",
    "x-envoy-original-path": "/admin",
    "x-envoy-original-url": "http://users/admin",
    "x-envoy-original-dst-host": "127.0.0.1:1",
    "x-envoy-downstream-service-cluster": "admin",
    "x-envoy-downstream-service-node": "admin-1",
    "x-envoy-fault-abort-request": "418",
    "x-envoy-fault-abort-request-percentage": "100",
    "x-envoy-fault-delay-request": "60000",
    "x-detour-served-by": "me",
}


@pytest.fixture
async def edge(mesh: MeshUnderTest) -> Client:
    """Return an edge that trusts nothing from outside, with a scenario in which users is pr-42."""
    live = MappingProxyType({"checkout": parse_words(["users=pr-42"])})
    settings = edge_of({"preview.example.test": "users"}, any="users")
    mesh.apply(SettingsApplied(settings), ScenariosApplied(Scenarios(live)))
    return await mesh.edge(trust_overrides=False)


def headers_of(answer: httpx.Response) -> dict[str, str]:
    """Return the headers that the application got."""
    return dict(answer.json()["headers"])


@pytest.mark.parametrize(
    "way", [{}, {"host": HOST}, {"x-detour-scenario": "checkout"}, {"cookie": "detour=checkout"}]
)
async def test_headers_of_envoys_own(edge: Client, way: dict[str, str]) -> None:
    """CVE-2024-45806: a client on a private address, as this one is, is no part of the mesh for that."""
    answer = await edge.get("/", headers={**INTERNAL, **way})
    assert answer.status_code == 200, answer.text
    assert not {name for name in headers_of(answer) if name in INTERNAL or name.startswith("x-envoy-")} - {
        "x-envoy-external-address"
    }


@pytest.mark.parametrize(
    "lines",
    [
        [("baggage", "override.route.users=pr-42"), ("baggage", "override.abort.users=418")],
        [("baggage", "a=1"), ("baggage", "override.route.users=pr-42")],
        [("baggage", "override.route.users=pr-42"), ("baggage", "a=1")],
        [("baggage", ""), ("baggage", "override.abort.users=418")],
        [("Baggage", "override.route.users=pr-42"), ("BAGGAGE", "a=1")],
    ],
)
async def test_overrides_in_several_lines(edge: Client, lines: list[tuple[str, str]]) -> None:
    """CVE-2026-26308: what counts is a header's every line, for whoever looks and whoever removes."""
    answer = await edge.get("/", headers=lines)
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-1")
    assert "override" not in str(headers_of(answer))


@pytest.mark.parametrize(
    ("lines", "status", "instance"),
    [
        ([("x-detour-scenario", "checkout"), ("x-detour-scenario", "nobody")], 404, None),
        ([("x-detour-scenario", ""), ("x-detour-scenario", "checkout")], 200, "users-pr-42"),
        ([("x-detour-scenario", "checkout"), ("x-detour-scenario", "")], 200, "users-pr-42"),
        ([("cookie", "a=1"), ("cookie", "detour=checkout")], 200, "users-pr-42"),
        ([("cookie", "detour=checkout"), ("cookie", "b=2")], 200, "users-pr-42"),
        ([("cookie", "detour="), ("cookie", "detour=checkout")], 200, "users-pr-42"),
    ],
)
async def test_a_scenario_in_several_lines(
    edge: Client, lines: list[tuple[str, str]], status: int, instance: str | None
) -> None:
    """The same: never the baseline in silence for somebody who names a scenario."""
    answer = await edge.get("/", headers=lines)
    assert answer.status_code == status
    assert instance is None or answer.json()["instance"] == instance


@pytest.mark.parametrize("path", ["/a%2Fb", "/a%5Cb", "/%2E%2E%2Fadmin", "/a/%2f%2fb", "/%252e%252e/admin"])
async def test_escaped_slashes(edge: Client, path: str) -> None:
    """CVE-2021-29492: an edge decides nothing by a path, and hands it on without taking escapes for slashes."""
    url = httpx.URL(edge.base_url).copy_with(raw_path=path.encode())
    assert (await edge.get(url)).json()["path"].count("/") <= path.count("/") + path.lower().count("%2f")
    asked = url.copy_with(raw_path=f"{path}?detour=checkout".encode())
    location = (await edge.get(asked, headers={"accept": "text/html"})).headers["location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize(
    "host",
    [HOST.upper(), HOST.title(), f"{HOST}.", f"{HOST}:80", f"{HOST}.:80", f"{HOST.upper()}:8000"],
)
async def test_a_host_however_it_is_written(edge: Client, host: str) -> None:
    """CVE-2021-39155: host names have no case; written otherwise a preview host is no way to the baseline."""
    answer = await edge.get("/", headers={"host": host})
    assert answer.json()["instance"] == "users-pr-42"
    nobody = await edge.get("/", headers={"host": host.lower().replace("checkout", "nobody")})
    assert nobody.status_code == 404


@pytest.mark.parametrize(
    "authority", [f"{HOST}@evil.test", f"evil.test@{HOST}", f"{HOST}:80@evil.test", f"{HOST}/x"]
)
async def test_a_host_that_is_none(edge: Client, authority: str) -> None:
    """Whatever is answered, nobody is sent on to another host."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(f"GET /?detour= HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n".encode())
    said = (await reader.read()).decode("latin-1").lower()
    writer.close()
    await writer.wait_closed()
    location = next((line for line in said.split("\r\n") if line.startswith("location:")), "")
    assert "evil" not in location
