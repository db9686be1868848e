"""The API, as a program sees it; the client of these tests checks every answer against the OpenAPI document."""

import sqlite3
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import HTTPException

from detour.discovery.mesh_file import read
from detour.mesh import OffloadedDeployment
from detour.server import ControlPlane, UnknownServiceError
from detour.server.api import api
from detour.server.sources import MeshFile, Registered
from server.conftest import ADMIN, WITH_DATABASE, control_plane

PR_42 = {"service": "users", "name": "pr-42", "endpoints": ["127.0.0.1:9101", "[::1]:9102"], "owner": "ana"}


async def test_a_registered_deployment_is_listed(http):
    """With its endpoints, its owner, where it comes from, and a day to live by default."""
    made = await http.post("/v1/deployments", json=PR_42)
    assert made.status_code == 201
    listed = (await http.get("/v1/deployments")).json()["items"]
    assert listed[1] == made.json()
    left = datetime.fromisoformat(listed[1].pop("expires")) - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    assert listed == [
        {
            "service": "users",
            "name": "filed",
            "endpoints": ["127.0.0.1:9002"],
            "owner": "ops",
            "expires": None,
            "source": "mesh file",
        },
        {**PR_42, "source": "registered"},
    ]


@pytest.mark.parametrize(
    ("path", "names"), [("services", ["payments", "users"]), ("deployments", ["filed", "pr-42"])]
)
async def test_lists_a_page_at_a_time(http, path, names):
    """Whole, or as many as are asked for, with the way to the next page."""
    await http.post("/v1/deployments", json=PR_42)
    whole = (await http.get(f"/v1/{path}")).json()
    assert ([one["name"] for one in whole["items"]], whole["next"]) == (names, None)
    found, cursor = [], ""
    while cursor is not None:
        page = (await http.get(f"/v1/{path}", params={"limit": 1, "cursor": cursor})).json()
        assert len(page["items"]) == 1
        found += page["items"]
        cursor = page["next"]
    assert found == whole["items"]


async def test_services_are_listed_with_their_deployments(http):
    """By name, those of the mesh file and those registered at run time."""
    await http.post("/v1/deployments", json=PR_42)
    assert (await http.get("/v1/services")).json()["items"] == [
        {"name": "payments", "protocol": "http2", "endpoints": ["127.0.0.1:9003"], "deployments": []},
        {"name": "users", "protocol": "http1", "endpoints": ["127.0.0.1:9001"], "deployments": ["filed", "pr-42"]},
    ]


async def test_a_removed_deployment_is_gone(http):
    """And removing it again says that nobody has registered it, and where to look."""
    await http.post("/v1/deployments", json=PR_42)
    assert (await http.delete("/v1/deployments/users/pr-42")).status_code == 204
    assert [one["name"] for one in (await http.get("/v1/deployments")).json()["items"]] == ["filed"]
    again = await http.delete("/v1/deployments/users/pr-42")
    assert again.status_code == 404
    assert again.json()["detail"].startswith("deployment users@pr-42 does not exist; GET /v1/deployments")


async def test_an_owner_may_renew(http):
    """The endpoints and the time to live are those of the last registration."""
    await http.post("/v1/deployments", json=PR_42)
    await http.post("/v1/deployments", json={**PR_42, "endpoints": [], "ttl": "30m"})
    renewed = (await http.get("/v1/deployments")).json()["items"][1]
    assert renewed["endpoints"] == []
    assert datetime.fromisoformat(renewed["expires"]) < datetime.now(UTC) + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("service", "detail"),
    [
        ("usrs", "the mesh has no service usrs; did you mean users?"),
        ("USERS", "the mesh has no service USERS; did you mean users?"),
        ("zebra", "the mesh has no service zebra; it has payments, users"),
    ],
)
async def test_an_unknown_service_is_refused(http, service, detail):
    """With the one that was probably meant, or with those there are."""
    answer = await http.post("/v1/deployments", json={**PR_42, "service": service})
    assert (answer.status_code, answer.json()["detail"]) == (404, detail)


async def test_what_is_passed_on_unread_has_no_deployments(registry, database, mesh_file):
    """Nor scenarios that choose one, delay it or abort it: no sidecar could do so."""
    mesh_file.write_text(WITH_DATABASE)
    plane = control_plane(mesh_file, registry, database)
    plane.is_ready = True
    transport = httpx.ASGITransport(api(plane), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answers = [await http.post("/v1/deployments", json={**PR_42, "service": "db"})]
        for key, value in (("route.db", "pr-42"), ("delay.db", "1s"), ("abort.db", "503")):
            body, new = {"overrides": {key: value, "config.db": "on"}}, {"If-None-Match": "*"}
            answers.append(await http.put("/v1/scenarios/checkout", json=body, headers=new))
    assert [answer.status_code for answer in answers] == [422, 409, 409, 409]
    assert all("db has protocol tcp, which sidecars cannot read" in answer.text for answer in answers)


async def test_of_many_services_some_are_named(registry, mesh_file):
    """A mesh of a thousand services does not fill the screen of somebody who mistypes one."""
    mesh_file.write_text("services:\n" + "".join(f"  service-{n}: {{endpoints: []}}\n" for n in range(1000)))
    plane = ControlPlane([MeshFile(mesh_file, read(mesh_file)), registered := Registered(registry)], registered)
    with pytest.raises(UnknownServiceError, match=r"it has service-0, .* and 990 more$"):
        await plane.deployments.register(ADMIN, OffloadedDeployment("zebra", "pr-42"))
    await plane.ads.stop()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_what_the_mesh_file_names_is_changed_there(http, mesh_file, method):
    """Neither registered nor removed at run time: 409 says which file."""
    path, body = ("", {**PR_42, "name": "filed"}) if method == "POST" else ("/users/filed", None)
    answer = await http.request(method, f"/v1/deployments{path}", json=body)
    detail = f"users@filed is defined in the mesh file, {mesh_file}: change it there"
    assert (answer.status_code, answer.json()["detail"]) == (409, detail)


async def test_somebody_elses_name_is_refused(http):
    """409 names the owner; the deployment stays as it was."""
    await http.post("/v1/deployments", json=PR_42)
    answer = await http.post("/v1/deployments", json={**PR_42, "owner": "bob", "endpoints": []})
    assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")
    assert answer.json()["detail"] == "users@pr-42 belongs to ana: choose another name"
    assert (await http.get("/v1/deployments")).json()["items"][1]["endpoints"] == PR_42["endpoints"]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"service": "a b"}, "service: expected a name of at most 63 letters"),
        ({"name": "-x"}, "beginning with a letter or digit, got '-x'"),
        ({"name": "x" * 64}, "name: expected a name of at most 63 letters"),
        ({"name": 42}, "name: Input should be a valid string"),
        ({"endpoints": ["localhost:1", "users:80"]}, "endpoints[1]: expected ip:port such as 127.0.0.1:8080"),
        ({"endpoints": ["127.0.0.1:0"]}, "endpoints[0]: expected ip:port"),
        ({"endpoints": ["2852039166:80"]}, "endpoints[0]: expected ip:port"),
        ({"endpoints": ["127.0.0.1:1", "169.254.169.254:80"]}, "endpoints[1]: 169.254.169.254:80 is refused: "),
        ({"endpoints": ["[::ffff:a9fe:a9fe]:80"]}, "leads to 169.254.169.254, and 169.254.0.0/16 is link-local"),
        ({"endpoints": ["8.8.8.8:53"]}, "it is outside the networks that endpoints may be in (10.0.0.0/8, "),
        ({"endpoints": ["127.0.0.1:15000"]}, "port 15000 is the admin interface of an Envoy"),
        ({"endpoints": "127.0.0.1:1"}, "endpoints: Input should be a valid list"),
        ({"endpoints": ["127.0.0.1:1"] * 1001}, "endpoints: List should have at most 1000 items"),
        ({"ttl": "forever"}, "ttl: expected a whole number and a unit, such as 250ms, 5s, 30m, 24h or 7d"),
        ({"ttl": "0s"}, "ttl: expected a duration longer than zero"),
        ({"ttl": "99999999d"}, "at most 36500d"),
        ({"owner": "\x1b[2J"}, "owner: expected text without control characters"),
        ({"owner": "o" * 101}, "owner: String should have at most 100 characters"),
        ({"endpoint": []}, "endpoint: unknown field"),
        ({"name": "", "ttl": ""}, "; ttl: "),
    ],
)
async def test_what_cannot_be_read_is_told(http, change, detail):
    """422 says which field, and what was expected; all mistakes at once."""
    answer = await http.post("/v1/deployments", json={**PR_42, **change})
    assert (answer.status_code, answer.json()["title"]) == (422, "Unprocessable Entity")
    assert detail in answer.json()["detail"]


async def test_of_many_mistakes_some_are_told(http):
    """An answer does not grow with what was sent."""
    answer = await http.post("/v1/deployments", json={**PR_42, "endpoints": ["x"] * 1000})
    assert answer.json()["detail"].endswith("; and 990 more")


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"", 422, "the body: is missing"),
        (b"[]", 422, "the body: send a JSON object"),
        (b'{"service": ', 422, "the body is not JSON: Expecting value at character 12"),
        (b'{"service": "\xff"}', 400, "the body cannot be read: send JSON, in UTF-8"),
        (b"[" * 100_000, 400, "the body cannot be read"),
    ],
)
async def test_what_is_not_json_is_told(http, body, status, detail):
    """And where it stops being that."""
    answer = await http.post("/v1/deployments", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize("body", [rb'{"\ud800": 1}', rb'{"service": "\ud800"}'])
async def test_halves_of_surrogate_pairs_are_refused(http, body):
    """JSON can carry them, and UTF-8 cannot: the answer must not fail for that."""
    answer = await http.post("/v1/deployments", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert "string" in answer.json()["detail"] or r"got '\ud800'" in answer.json()["detail"]


async def test_json_says_that_it_is_json(http):
    """A form's content type, which a foreign web page may send without asking, is refused."""
    answer = await http.post("/v1/deployments", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 422
    assert "content-type: application/json" in answer.json()["detail"]


async def test_an_unknown_path_is_told(http):
    """404, with where to look; also where only a piece of the path is wrong."""
    answer = await http.get("/v1/deploymentz")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "GET /v1/deploymentz does not exist; GET /docs lists all operations"


async def test_a_wrong_method_is_told(http):
    """405 lists all that the path allows, in words and in the header that RFC 9110 asks for."""
    answer = await http.put("/v1/deployments")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["detail"] == "PUT /v1/deployments does not exist; this path allows GET, POST"


async def test_a_broken_registry_is_told(http, state):
    """500 names the file and what is wrong with it; nothing is served that is not on disk."""
    with sqlite3.connect(state) as other:
        other.execute("DROP TABLE deployments")
    other.close()
    answer = await http.post("/v1/deployments", json=PR_42)
    assert answer.status_code == 500
    assert str(state) in answer.json()["detail"]
    assert "no such table" in answer.json()["detail"]
    assert len((await http.get("/v1/deployments")).json()["items"]) == 1


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyError, OSError, TimeoutError])
async def test_the_servers_own_faults_stay_in_its_log(app, http, error):
    """A client is not told that it sent something wrong, nor anything of the inside."""

    @app.get("/fault", responses={500: {"content": {"application/problem+json": {}}}})
    async def fault() -> None:
        raise error("inside")

    answer = await http.get("/fault")
    assert answer.status_code == 500
    assert answer.json()["detail"] == "the server failed to handle GET /fault; its log has the reason"


async def test_health(http: httpx.AsyncClient):
    """The server says that it runs."""
    assert (await http.get("/healthz")).json() == {"status": "ok"}


async def test_status_of_a_quiet_server(http, mesh_file):
    """The mesh file, how much there is, and no Envoy."""
    assert (await http.get("/v1/status")).json() == {
        "version": "0.1.0",
        "mesh_file": {"path": str(mesh_file), "problem": None},
        "cluster": None,
        "services": 2,
        "deployments": 1,
        "failures": [],
        "envoys": [],
        "departures": [],
        "gone": [],
        "openings": [],
        "overrides": {"by": "", "reason": "", "since": None, "state": "on"},
    }


async def test_every_operation_is_documented(app):
    """Each has a sentence, what it answers, and its problems as problem details."""
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            errors = {code: one for code, one in operation["responses"].items() if code >= "400"}
            assert "500" in errors
            for one in errors.values():
                assert list(one["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("code", [400, 404, 405, 409, 451])
async def test_what_a_handler_says_reaches_the_client(app, http, code):
    """A 4xx keeps its detail, also of a status for which the framework has words of its own."""

    @app.get("/refusing")
    async def refuse() -> None:
        raise HTTPException(code, "there is no tea: fetch some")

    answer = await http.get("/refusing")
    assert (answer.status_code, answer.json()["detail"]) == (code, "there is no tea: fetch some")
