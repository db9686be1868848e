"""Overrides of ports that sidecars do not read: the API refuses them, or warns where others are affected."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from detour.server.api import api
from partly_read import REFUSAL, WARNING, partly_read_plane

NEW = {"If-None-Match": "*"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the API."""
    async with partly_read_plane(tmp_path) as plane:
        transport = httpx.ASGITransport(api(plane), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


async def test_services_say_what_overrides_affect(http: httpx.AsyncClient) -> None:
    """All of it, some of it, or nothing."""
    items = (await http.get("/v1/services")).json()["items"]
    found = {one["name"]: (one["overridable"], one["protocol"], one["warning"]) for one in items}
    assert found["users"] == (True, "auto", "")
    assert found["both"] == (True, "auto", WARNING)
    assert (found["db"][:2], found["db"][2].startswith(REFUSAL)) == ((False, "tcp"), True)


async def test_deployments(http: httpx.AsyncClient) -> None:
    """The answers to a registration and an extension, and the lists."""
    body = {"service": "both", "name": "pr-1", "endpoints": ["127.0.0.1:9102"]}
    added = await http.post("/v1/deployments", json=body)
    assert (added.status_code, added.json()["warnings"]) == (201, [WARNING])
    extended = await http.patch("/v1/deployments/both/pr-1", json={"ttl": "1h"})
    assert extended.json()["warnings"] == [WARNING]
    assert (await http.get("/v1/deployments/both/pr-1")).json()["warnings"] == [WARNING]
    users = await http.post("/v1/deployments", json={**body, "service": "users"})
    assert users.json()["warnings"] == []
    listed = (await http.get("/v1/deployments")).json()["items"]
    assert [one["warnings"] for one in listed] == [[WARNING], [WARNING], []]
    refused = await http.post("/v1/deployments", json={**body, "service": "db"})
    assert (refused.status_code, refused.json()["detail"].startswith(REFUSAL)) == (422, True)


async def test_copies(http: httpx.AsyncClient) -> None:
    """Of such a service none is created."""
    body = {"service": "both", "name": "pr-1", "image": "users:2"}
    created = await http.post("/v1/copies", json=body)
    assert (created.status_code, created.json()["warnings"], created.json()["notes"]) == (202, [WARNING], [])
    assert (await http.post("/v1/copies", json={**body, "service": "users"})).json()["warnings"] == []
    refused = await http.post("/v1/copies", json={**body, "service": "db"})
    assert (refused.status_code, refused.json()["detail"].startswith(REFUSAL)) == (422, True)


async def test_checks(http: httpx.AsyncClient) -> None:
    """Mistakes and warnings are apart."""
    overrides = {"route.both": "filed", "delay.db": "1s", "abort.users": "503", "log.both": "debug"}
    answer = (await http.post("/v1/overrides/check", json={"overrides": overrides})).json()
    assert answer["warnings"] == [{"key": "route.both", "value": "filed", "detail": f"both=filed: {WARNING}"}]
    (mistake,) = answer["mistakes"]
    assert (mistake["key"], mistake["detail"].startswith(f"delay.db=1s: {REFUSAL}")) == ("delay.db", True)


async def test_scenarios(http: httpx.AsyncClient) -> None:
    """The answers to both writes, and reading."""
    path, body = "/v1/scenarios/checkout", {"overrides": {"delay.both": "1s", "log.db": "debug"}}
    made = await http.put(path, json=body, headers=NEW)
    assert (made.status_code, made.json()["warnings"]) == (201, [f"delay.both=1s: {WARNING}"])
    changed = await http.put(path, json={"overrides": {"route.both": "filed"}}, headers={"If-Match": '"1"'})
    assert changed.json()["warnings"] == [f"both=filed: {WARNING}"]
    assert (await http.get(path)).json()["warnings"] == [f"both=filed: {WARNING}"]
    refused = await http.put("/v1/scenarios/other", json={"overrides": {"delay.db": "1s"}}, headers=NEW)
    assert (refused.status_code, refused.json()["detail"].startswith(f"delay.db=1s: {REFUSAL}")) == (409, True)
