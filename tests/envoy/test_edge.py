"""A real edge: what it serves, and which overrides from outside it lets in."""

import asyncio

import pytest

from detour.envoy.vocabulary import EDGE_ROUTES
from detour.mesh import Service, ServiceApplied, SettingsApplied
from detour.overrides import parse_words, write_opentracing
from detour.xds.catalog import ROUTES
from parts import MeshUnderTest, edge_of

OVERRIDE = "override.route.users=pr-42"


async def test_a_trusting_edge_honours_overrides_from_outside(mesh: MeshUnderTest) -> None:
    """The demo's edge: whoever sends the header is in."""
    edge = await mesh.edge(trust_overrides=True)
    assert (await edge.get("/")).json()["instance"] == "users-1"
    answer = await edge.get("/", headers={"baggage": f"a=1,{OVERRIDE}"})
    assert (answer.json()["instance"], answer.headers["x-detour-served-by"]) == ("users-pr-42", "users@pr-42")
    assert dict(answer.json()["headers"])["baggage"] == f"a=1,{OVERRIDE}"
    assert (await edge.get("/", headers={"baggage": "override.abort.users=418"})).status_code == 418


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([OVERRIDE], None),
        ([f"a=1;p=q,{OVERRIDE},b=2"], "a=1;p=q,b=2"),
        (["a=1", OVERRIDE, "b=2"], "a=1,b=2"),
        ([f"%6Fverride.route.users=pr-42,+{OVERRIDE},%20{OVERRIDE},a=1"], "a=1"),
        ([f"%256Fverride.route.users=pr-42, \t{OVERRIDE} ,a=1"], "a=1"),
        (["x-override.route.users=pr-42"], "x-override.route.users=pr-42"),
        (["override.abort.users=500"], None),
    ],
)
async def test_an_edge_removes_overrides_from_outside(
    mesh: MeshUnderTest, lines: list[str], left: str | None
) -> None:
    """None is honoured and none goes on into the mesh, however it is written; what is others' stays."""
    edge = await mesh.edge(trust_overrides=False)
    answer = await edge.get("/", headers=[("baggage", line) for line in lines])
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-1")
    assert dict(answer.json()["headers"]).get("baggage") == left


async def test_an_edge_removes_internal_headers_from_outside(mesh: MeshUnderTest) -> None:
    """What only the mesh may say."""
    edge = await mesh.edge(trust_overrides=False)
    headers = {
        "x-ot-span-context": write_opentracing(None, parse_words(["users=pr-42"])),
        "x-envoy-fault-abort-request": "500",
        "x-envoy-original-dst-host": "127.0.0.1:1",
        "x-detour-served-by": "me",
    }
    answer = await edge.get("/", headers=headers)
    assert answer.status_code == 200
    assert not set(headers) & {name for name, _ in answer.json()["headers"]}


async def test_an_edge_serves_the_hosts_that_the_mesh_gives_it(mesh: MeshUnderTest) -> None:
    """Any other host gets a 404 that says which it serves; a change applies to a running edge."""
    mesh.apply(SettingsApplied(edge_of(**{"app.example.test": "users", "*.example.test": "users"})))
    edge = await mesh.edge(trust_overrides=True)
    for host in ("app.example.test", "app.example.test:8000", "other.example.test:8000"):
        assert (await edge.get("/", headers={"host": host})).status_code == 200
    answer = await edge.get("/", headers={"host": "users"})
    assert (answer.status_code, "app.example.test" in answer.text) == (404, True)


async def test_an_edge_without_hosts_says_where_they_are_set(mesh: MeshUnderTest) -> None:
    """The newcomer's first edge."""
    mesh.apply(SettingsApplied(edge_of()))
    edge = await mesh.edge(trust_overrides=True)
    answer = await edge.get("/")
    assert (answer.status_code, "edge.hosts" in answer.text) == (404, True)


async def test_a_host_moves_to_a_new_service_and_no_request_fails(mesh: MeshUnderTest) -> None:
    """Routes follow once the edge has what they lead to; it looks for no cluster of a service that it serves."""
    mesh.apply(SettingsApplied(edge_of(any="users")))
    edge = await mesh.edge(trust_overrides=False)
    (instance,) = mesh.ads.mesh.services["users"].endpoints
    answers: list[int] = []
    for number in range(40):
        service = f"new-{number}"
        mesh.apply(ServiceApplied(Service(service, (instance,))), SettingsApplied(edge_of(any=service)))
        async with asyncio.timeout(20):
            while not mesh.has_taken(ROUTES, EDGE_ROUTES):
                answers.append((await edge.get("/")).status_code)
        answers.append((await edge.get("/")).status_code)
    assert set(answers) == {200}
