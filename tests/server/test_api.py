"""The API, as a program sees it; the client of these tests checks every response against the OpenAPI document."""

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
    """With its endpoints, its owner, its source, and an expiry after a day by default."""
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
            "is_writable": False,
            "warnings": [],
        },
        {**PR_42, "source": "registered", "is_writable": True, "warnings": []},
    ]


@pytest.mark.parametrize(
    ("path", "names"), [("services", ["payments", "users"]), ("deployments", ["filed", "pr-42"])]
)
async def test_pagination(http, path, names):
    """Lists come whole, or as pages of the requested size with the cursor of the next page."""
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
    """Ordered by name, with the deployments of the mesh file and those registered at run time."""
    await http.post("/v1/deployments", json=PR_42)
    read = {"overridable": True, "warning": ""}
    users, payments = ["filed", "pr-42"], "127.0.0.1:9003"
    assert (await http.get("/v1/services")).json()["items"] == [
        {"name": "payments", "protocol": "http2", "endpoints": [payments], "deployments": [], **read},
        {"name": "users", "protocol": "auto", "endpoints": ["127.0.0.1:9001"], "deployments": users, **read},
    ]


async def test_a_removed_deployment_no_longer_exists(http):
    """Removing it again is a 404 that says where to look."""
    await http.post("/v1/deployments", json=PR_42)
    assert (await http.delete("/v1/deployments/users/pr-42")).status_code == 204
    assert [one["name"] for one in (await http.get("/v1/deployments")).json()["items"]] == ["filed"]
    again = await http.delete("/v1/deployments/users/pr-42")
    assert again.status_code == 404
    assert again.json()["detail"].startswith("deployment users@pr-42 does not exist; GET /v1/deployments")


async def test_an_owner_may_register_again(http):
    """The last registration replaces the endpoints and the expiry."""
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
    """The error suggests the nearest service, or lists the existing ones."""
    answer = await http.post("/v1/deployments", json={**PR_42, "service": service})
    assert (answer.status_code, answer.json()["detail"]) == (404, detail)


async def test_tcp_services_have_no_deployments(registry, database, mesh_file):
    """Nor scenarios with a route, delay or abort for them: sidecars do not parse their traffic."""
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
    assert all(
        "db has protocol tcp: sidecars pass its connections through unread" in answer.text for answer in answers
    )


async def test_an_unknown_service_error_lists_at_most_ten_services(registry, mesh_file):
    """A mesh of a thousand services does not fill the user's screen."""
    mesh_file.write_text("services:\n" + "".join(f"  service-{n}: {{endpoints: []}}\n" for n in range(1000)))
    plane = ControlPlane([MeshFile(mesh_file, read(mesh_file)), registered := Registered(registry)], registered)
    with pytest.raises(UnknownServiceError, match=r"it has service-0, .* and 990 more$"):
        await plane.deployments.register(ADMIN, OffloadedDeployment("zebra", "pr-42"))
    await plane.ads.stop()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_deployments_of_the_mesh_file_are_read_only(http, mesh_file, method):
    """Registering and removing them is a 409 that names the file."""
    path, body = ("", {**PR_42, "name": "filed"}) if method == "POST" else ("/users/filed", None)
    answer = await http.request(method, f"/v1/deployments{path}", json=body)
    detail = f"users@filed is defined in the mesh file, {mesh_file}: change it there"
    assert (answer.status_code, answer.json()["detail"]) == (409, detail)


async def test_a_name_of_another_owner_is_refused(http):
    """409 names the owner; the deployment does not change."""
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
async def test_invalid_values_are_422(http, change, detail):
    """The error names each field and its expected value; all mistakes at once."""
    answer = await http.post("/v1/deployments", json={**PR_42, **change})
    assert (answer.status_code, answer.json()["title"]) == (422, "Unprocessable Entity")
    assert detail in answer.json()["detail"]


async def test_the_number_of_explained_mistakes_is_bounded(http):
    """The size of a response does not grow with the request."""
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
async def test_a_body_that_is_not_json(http, body, status, detail):
    """The error says at which character the JSON ends."""
    answer = await http.post("/v1/deployments", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize("body", [rb'{"\ud800": 1}', rb'{"service": "\ud800"}'])
async def test_lone_surrogates_are_refused(http, body):
    """JSON can contain them and UTF-8 cannot: the response must not fail because of them."""
    answer = await http.post("/v1/deployments", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert "string" in answer.json()["detail"] or r"got '\ud800'" in answer.json()["detail"]


async def test_a_json_content_type_is_required(http):
    """Form content types are refused: pages of other sites can send them without a preflight."""
    answer = await http.post("/v1/deployments", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 422
    assert "content-type: application/json" in answer.json()["detail"]


async def test_an_unknown_path(http):
    """404 says where to look, also if only a part of the path is wrong."""
    answer = await http.get("/v1/deploymentz")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "GET /v1/deploymentz does not exist; GET /docs lists all operations"


async def test_a_wrong_method(http):
    """405 lists the allowed methods, in the detail and in the `Allow` header (RFC 9110)."""
    answer = await http.put("/v1/deployments")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["detail"] == "PUT /v1/deployments does not exist; this path allows GET, POST"


async def test_a_broken_registry(http, state):
    """500 names the file and the failure; what is not on disk is not served."""
    with sqlite3.connect(state) as other:
        other.execute("DROP TABLE deployments")
    other.close()
    answer = await http.post("/v1/deployments", json=PR_42)
    assert answer.status_code == 500
    assert str(state) in answer.json()["detail"]
    assert "no such table" in answer.json()["detail"]
    assert len((await http.get("/v1/deployments")).json()["items"]) == 1


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyError, OSError, TimeoutError])
async def test_unexpected_errors_are_not_sent_to_clients(app, http, error):
    """The response says that the server failed, without details."""

    @app.get("/fault", responses={500: {"content": {"application/problem+json": {}}}})
    async def fault() -> None:
        raise error("inside")

    answer = await http.get("/fault")
    assert answer.status_code == 500
    assert answer.json()["detail"] == "the server failed to handle GET /fault; its log has the reason"


async def test_health(http: httpx.AsyncClient):
    """The server says that it runs."""
    assert (await http.get("/healthz")).json() == {"status": "ok"}


async def test_status_without_envoys(http, mesh_file):
    """The mesh file, the numbers of services and deployments, and an empty list of Envoys."""
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
    """Each has a description, its responses, and its errors as problem details."""
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            errors = {code: one for code, one in operation["responses"].items() if code >= "400"}
            assert "500" in errors
            for one in errors.values():
                assert list(one["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("code", [400, 404, 405, 409, 451])
async def test_details_of_handlers_reach_the_client(app, http, code):
    """A 4xx keeps its detail, also for statuses for which the framework has a default text."""

    @app.get("/refusing")
    async def refuse() -> None:
        raise HTTPException(code, "the tea is finished: fetch some")

    answer = await http.get("/refusing")
    assert (answer.status_code, answer.json()["detail"]) == (code, "the tea is finished: fetch some")
