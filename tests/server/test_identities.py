"""Who may use the API, and for what."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from detour.access import Identity, Role, Via
from detour.server.api import api
from detour.server.identities import Identities, TokenBook
from server.conftest import control_plane

ELSEWHERE = ("10.0.0.7", 50_000)
SCENARIO = {"overrides": {"route.users": "pr-42"}}
NEW = {"If-None-Match": "*"}
PR_42 = {"service": "users", "name": "pr-42", "endpoints": ["127.0.0.1:9009"]}


@pytest.fixture
def guarded(plane) -> FastAPI:
    """Return the API of a server that has API tokens."""
    return api(plane, Identities(TokenBook(plane.book.database)))


def client(app: FastAPI, token: str = "", peer: tuple[str, int] = ELSEWHERE, **headers: str) -> httpx.AsyncClient:
    """Return a client on another machine, or on the server's own."""
    transport = httpx.ASGITransport(app, client=peer)
    sent = {**headers, **({"authorization": f"Bearer {token}"} if token else {})}
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=sent)


async def token_for(app: FastAPI, name: str, role: Role = Role.DEVELOPER) -> str:
    """Create a token for a user."""
    _, token = await app.state.identities.tokens.create("test", Identity(name, role, Via.TOKEN), None, "root")
    return token


WITHOUT_AUTHENTICATION = {
    "/",
    "/docs",
    "/docs/files/swagger-ui.css",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/readyz",
    "/ui/{version}/{name}",
    "/v1/sign-in",
}
"""Every path that strangers may read. A test that took the list from the code would agree with any mistake."""

PARAMETERS = {"service": "a", "name": "a", "version": 1, "id": "0" * 12}


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route of an application, whether or not its document has it."""
    for route in app.routes:
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/swagger-ui.css"
            continue
        assert isinstance(route, Route), f"{route!r} needs a case here"
        for method in sorted(route.methods):
            yield method, route.path


async def test_only_these_paths_need_no_authentication(guarded):
    """Every other route returns 401, whatever the method, with a challenge (RFC 6750, section 3)."""
    open_paths = set()
    async with client(guarded) as http:
        for method, path in routes(guarded):
            answer = await http.request(method, path.format(**PARAMETERS))
            if answer.status_code != 401:
                assert method in {"GET", "HEAD"}, path
                assert answer.status_code in {200, 404, 503}, path
                open_paths.add(path)
            else:
                assert answer.headers["www-authenticate"] == 'Bearer realm="detour"'
                assert method == "HEAD" or "without a token only from its own machine" in answer.json()["detail"]
    assert open_paths == WITHOUT_AUTHENTICATION


async def test_the_document_marks_open_operations(guarded):
    """They have no security requirement, and all others do."""
    operations = [(path, one) for path, methods in guarded.openapi()["paths"].items() for one in methods.values()]
    is_open = {path for path, one in operations if "security" not in one}
    assert is_open == {"/healthz", "/metrics", "/readyz", "/v1/sign-in"}
    assert {path for path, one in operations if "401" not in one["responses"]} == is_open


async def test_every_route_that_changes_something_refuses_viewers(guarded):
    """Such routes need the role developer."""
    changing = [(method, path) for method, path in routes(guarded) if method not in {"GET", "HEAD"}]
    assert len(changing) == 13
    async with client(guarded, await token_for(guarded, "vi", Role.VIEWER)) as http:
        for method, path in changing:
            answer = await http.request(method, path.format(**PARAMETERS))
            assert (answer.status_code, "vi has the role viewer" in answer.text) == (403, True), (method, path)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"x-forwarded-for": "10.0.0.7"}, 401),
        ({"host": "rebound.example.com"}, 401),
        ({"origin": "https://evil.example.com"}, 403),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic cm9vdDo="}, 401),
    ],
)
async def test_local_callers(guarded, headers, status):
    """Need no token; requests that only look local, or have an invalid token, are refused."""
    async with client(guarded, peer=("127.0.0.1", 1), **{"x-detour-user": "ana", **headers}) as http:
        answer = await http.get("/v1/me")
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"name": "ana", "role": "admin", "via": "local"}


PROXIED = {
    "forwarded": "for=10.0.0.7",
    "via": "1.1 proxy",
    "x-forwarded-for": "10.0.0.7",
    "x-forwarded-host": "detour.example.com",
    "x-forwarded-proto": "https",
    "x-forwarded-port": "443",
    "x-forwarded": "",
    "X-Real-IP": "10.0.0.7",
    "x-client-ip": "10.0.0.7",
    "x-envoy-external-address": "10.0.0.7",
    "cf-connecting-ip": "10.0.0.7",
    "true-client-ip": "10.0.0.7",
}


async def test_requests_through_a_proxy_are_not_local(guarded):
    """Whatever header a proxy adds, with any value: a local proxy would make every caller an admin."""
    async with client(guarded, peer=("127.0.0.1", 1)) as http:
        for header, value in PROXIED.items():
            for sent in (value, ""):
                assert (await http.get("/v1/me", headers={header: sent})).status_code == 401, header
        assert (await http.get("/v1/me", headers={"x-forwarding-is-no-proxy": "1"})).status_code == 200


async def test_permissions_of_viewers(guarded):
    """They read everything and change nothing; the error says which role is needed."""
    async with client(guarded, await token_for(guarded, "vi", Role.VIEWER)) as http:
        assert (await http.get("/v1/me")).json() == {"name": "vi", "role": "viewer", "via": "token"}
        assert (await http.get("/v1/services")).status_code == 200
        answer = await http.put("/v1/scenarios/a", json=SCENARIO, headers=NEW)
        assert answer.status_code == 403
        assert "this needs the role developer, and vi has the role viewer" in answer.text


async def test_permissions_of_developers(guarded):
    """They create and change things in their own name only, and remove only their own."""
    ada, bo = [await token_for(guarded, name) for name in ("ada", "bo")]
    async with client(guarded, ada, **{"x-detour-user": "root"}) as http:
        made = await http.put("/v1/scenarios/a", json=SCENARIO, headers=NEW)
        assert (made.json()["owner"], made.json()["changed_by"]) == ("ada", "ada")
        registered = await http.post("/v1/deployments", json={**PR_42, "owner": "root"})
        assert (registered.status_code, registered.json()["owner"]) == (201, "ada")
    async with client(guarded, bo) as http:
        changed = await http.put("/v1/scenarios/a", json=SCENARIO, headers={"If-Match": '"1"'})
        assert (changed.json()["owner"], changed.json()["changed_by"]) == ("ada", "bo")
        taken = await http.put("/v1/scenarios/a", json={**SCENARIO, "owner": "bo"}, headers={"If-Match": '"2"'})
        removed = await http.delete("/v1/scenarios/a", headers={"If-Match": '"2"'})
        assert [one.status_code for one in (taken, removed)] == [403, 403]
        assert "scenario a belongs to ada: only ada or an admin may do that" in removed.text
        assert (await http.delete("/v1/deployments/users/pr-42?owner=ada")).status_code == 409
        assert (await http.delete("/v1/deployments/users/pr-42")).status_code == 409
        assert (await http.patch("/v1/deployments/users/pr-42", json={"ttl": "1h"})).status_code == 409
    async with client(guarded, ada) as http:
        assert (await http.delete("/v1/scenarios/a", headers={"If-Match": '"2"'})).status_code == 204
        assert (await http.delete("/v1/deployments/users/pr-42")).status_code == 204


async def test_permissions_of_admins(guarded):
    """They may do everything, with things of all owners; the log names them."""
    async with client(guarded, await token_for(guarded, "ada")) as http:
        await http.put("/v1/scenarios/a", json=SCENARIO, headers=NEW)
    async with client(guarded, await token_for(guarded, "root", Role.ADMIN)) as http:
        assert (await http.delete("/v1/scenarios/a", headers={"If-Match": '"1"'})).status_code == 204
        log = (await http.get("/v1/changes")).json()["items"]
        assert [(one["who"], one["action"], one["subject"]) for one in log[:2]] == [
            ("root", "removed", "a"),
            ("root", "created", log[1]["subject"]),
        ]


async def test_tokens_are_created_and_removed(guarded):
    """For the caller, with at most the caller's role; a removed token is invalid at once."""
    async with client(guarded, await token_for(guarded, "ada")) as http:
        made = (await http.post("/v1/tokens", json={"name": "ci", "ttl": "90d"})).json()
        assert (made["owner"], made["role"]) == ("ada", "developer")
        for more in ({"role": "admin"}, {"owner": "root"}):
            assert (await http.post("/v1/tokens", json={"name": "x", **more})).status_code == 403
        assert made["id"] in {one["id"] for one in (await http.get("/v1/tokens")).json()["items"]}
    async with client(guarded, made["token"]) as http:
        assert (await http.get("/v1/me")).json()["name"] == "ada"
        assert (await http.delete(f"/v1/tokens/{made['id']}")).status_code == 204
        answer = await http.get("/v1/me")
        assert (answer.status_code, "this API token is invalid or expired" in answer.text) == (401, True)
    async with client(guarded, await token_for(guarded, "bo")) as http:
        (own,) = (await http.get("/v1/tokens")).json()["items"]
        assert own["owner"] == "bo"
        of_ada = next(one for one in guarded.state.identities.tokens.rows.values() if one.owner == "ada")
        assert (await http.delete(f"/v1/tokens/{of_ada.id}")).status_code == 403


async def test_a_stream_ends_with_its_token(guarded, plane, monkeypatch):
    """A caller without access receives no further events."""
    monkeypatch.setattr("detour.server.api.changes._PAUSE_SECONDS", 0.02)
    token = await token_for(guarded, "ada")
    identities = guarded.state.identities.tokens
    listening = asyncio.create_task(client(guarded, token).get("/v1/events"))
    while not len(plane.events):
        await asyncio.sleep(0.01)
    (id_,) = identities.rows
    await identities.remove(id_, "root")
    async with asyncio.timeout(20):
        assert (await listening).text.startswith(": connected")


async def test_without_a_database_there_are_no_tokens(mesh_file, registry):
    """The error says that the server has no database."""
    app = api(control_plane(mesh_file, registry))
    async with client(app, peer=("127.0.0.1", 1)) as http:
        answer = await http.post("/v1/tokens", json={"name": "ci"})
        assert (answer.status_code, "--database URL" in answer.text) == (501, True)
        assert (await http.get("/v1/sign-in")).json()["is_needed"] is False
    async with client(app, "detour_" + "0" * 12 + "_" + "0" * 64) as http:
        assert (await http.get("/v1/me")).status_code == 401
        assert (await http.get("/v1/sign-in")).json() == {"is_needed": True} | dict.fromkeys(
            (
                "issuer",
                "client_id",
                "scopes",
                "authorization_endpoint",
                "token_endpoint",
                "device_authorization_endpoint",
            )
        )
