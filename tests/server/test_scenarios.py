"""Scenarios through the API; the client of these tests checks every response against the OpenAPI document."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from detour.overrides import parse_baggage, parse_words
from detour.server.api import api
from server.conftest import control_plane

NEW = {"If-None-Match": "*"}
WORDS = ("users=pr-42", "delay.payments=300ms", "config.new-checkout=on")
CHECKOUT = {
    "overrides": {"route.users": "pr-42", "delay.payments": "300ms", "config.new-checkout": "on"},
    "owner": "ana",
    "description": "the new checkout",
}


def at(version: int) -> dict[str, str]:
    """Return the header of a request that changes a version."""
    return {"If-Match": f'"{version}"'}


async def made(http: httpx.AsyncClient, name: str = "checkout", **more: object) -> httpx.Response:
    """Create a scenario."""
    answer = await http.put(f"/v1/scenarios/{name}", json={**CHECKOUT, **more}, headers=NEW)
    assert answer.status_code == 201, answer.text
    return answer


async def test_a_scenario_is_created_and_read(http):
    """With its version as entity tag, and the header that puts a request into it."""
    answer = await made(http)
    assert answer.headers["etag"] == '"1"'
    found = await http.get("/v1/scenarios/checkout")
    assert (found.json(), found.headers["etag"]) == (answer.json(), '"1"')
    shown = found.json()
    assert parse_baggage([shown.pop("baggage")]).overrides == parse_words(WORDS)
    assert datetime.now(UTC) - datetime.fromisoformat(shown.pop("changed")) < timedelta(minutes=1)
    shown.pop("changed_by")
    assert (shown.pop("links"), shown.pop("only_host")) == ([], "")
    assert shown.pop("warnings") == []
    assert shown == {**CHECKOUT, "name": "checkout", "version": 1, "expires": None, "state": "live"}


async def test_a_current_entity_tag_gets_304(http):
    """Without a body."""
    await made(http)
    for tags, expected in (('"1"', 304), ('W/"0", "1"', 304), ('"2"', 200), ("", 200)):
        assert (await http.get("/v1/scenarios/checkout", headers={"If-None-Match": tags})).status_code == expected


async def test_the_creator_is_the_owner(http):
    """Unless the scenario names one; a later change does not change the owner."""
    ana, bo = ({"x-detour-user": name} for name in ("ana", "bo"))
    body = {"overrides": CHECKOUT["overrides"]}
    first = await http.put("/v1/scenarios/checkout", json=body, headers={**NEW, **ana})
    second = await http.put("/v1/scenarios/checkout", json=body, headers={**at(1), **bo})
    assert [(one.json()["owner"], one.json()["changed_by"]) for one in (first, second)] == [
        ("ana", "ana"),
        ("ana", "bo"),
    ]


async def test_a_change_creates_a_version(http):
    """Old versions stay readable, newest first, in pages."""
    await made(http)
    changed = await http.put("/v1/scenarios/checkout", json={**CHECKOUT, "owner": "bo"}, headers=at(1))
    assert (changed.status_code, changed.headers["etag"], changed.json()["version"]) == (200, '"2"', 2)
    assert (await http.get("/v1/scenarios/checkout/versions/1")).json()["owner"] == "ana"
    page = await http.get("/v1/scenarios/checkout/versions?limit=1")
    assert [one["version"] for one in page.json()["items"]] == [2]
    page = await http.get(f"/v1/scenarios/checkout/versions?limit=1&cursor={page.json()['next']}")
    assert [one["version"] for one in page.json()["items"]] == [1]
    assert page.json()["next"] is None


async def test_an_outdated_edit_is_refused(http):
    """With 412, the author of the newer version, and its tag; nothing is overwritten."""
    await made(http)
    await http.put("/v1/scenarios/checkout", json=CHECKOUT, headers={**at(1), "x-detour-user": "bo"})
    for refused in (
        await http.put("/v1/scenarios/checkout", json={**CHECKOUT, "owner": "cy"}, headers=at(1)),
        await http.delete("/v1/scenarios/checkout", headers=at(1)),
    ):
        assert (refused.status_code, refused.headers["etag"]) == (412, '"2"')
        assert refused.json()["detail"].startswith("checkout is at version 2, by bo: read that version")
    assert (await http.get("/v1/scenarios/checkout")).json()["owner"] == "ana"


async def test_a_write_without_a_version_is_refused(http):
    """With 428; the error says how to name one (RFC 6585, section 3)."""
    await made(http)
    for refused in (
        await http.put("/v1/scenarios/checkout", json=CHECKOUT),
        await http.delete("/v1/scenarios/checkout"),
    ):
        assert refused.status_code == 428
        assert 'If-Match: "3"' in refused.json()["detail"]


@pytest.mark.parametrize("tag", ["*", "1", '"01"', 'W/"1"', '"1", "2"', '"' + "9" * 40 + '"', "é"])
async def test_an_invalid_entity_tag(http, tag):
    """Never matches."""
    await made(http)
    refused = await http.put("/v1/scenarios/checkout", json=CHECKOUT, headers={"If-Match": tag.encode()})
    assert refused.status_code == 412


async def test_an_existing_name_is_refused(http):
    """With 412; the error names the owner."""
    await made(http)
    refused = await http.put("/v1/scenarios/checkout", json=CHECKOUT, headers=NEW)
    assert (refused.status_code, "owned by ana" in refused.json()["detail"]) == (412, True)


async def test_resolving(http):
    """Returns the header of the last version, and 410 for an expired scenario."""
    await made(http)
    resolved = (await http.get("/v1/scenarios/checkout/resolve")).json()
    assert parse_baggage([resolved.pop("value")]).overrides == parse_words(WORDS)
    assert resolved == {"name": "checkout", "version": 1, "header": "baggage"}
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await http.put("/v1/scenarios/checkout", json={**CHECKOUT, "expires": past}, headers=at(1))
    gone = await http.get("/v1/scenarios/checkout/resolve")
    assert (gone.status_code, "expired at" in gone.json()["detail"]) == (410, True)
    assert (await http.get("/v1/scenarios/checkout")).json()["state"] == "expired"
    await http.delete("/v1/scenarios/checkout", headers={**at(2), "x-detour-user": "bo"})
    gone = await http.get("/v1/scenarios/checkout/resolve")
    assert (gone.status_code, gone.json()["detail"]) == (410, "scenario checkout was removed by bo")


async def test_a_removed_scenario_can_be_read_and_created_again(http):
    """The count of versions continues, so that a tag never stands for two contents."""
    await made(http)
    assert (await http.delete("/v1/scenarios/checkout", headers=at(1))).status_code == 204
    removed = await http.get("/v1/scenarios/checkout")
    assert (removed.json()["state"], removed.json()["overrides"]) == ("removed", CHECKOUT["overrides"])
    assert (await made(http)).headers["etag"] == '"3"'


async def test_a_scenario_that_never_existed(http):
    """404 says where to look."""
    for answer in (
        await http.get("/v1/scenarios/checkout"),
        await http.get("/v1/scenarios/checkout/resolve"),
        await http.get("/v1/scenarios/checkout/versions"),
        await http.get("/v1/scenarios/checkout/versions/1"),
        await http.put("/v1/scenarios/checkout", json=CHECKOUT, headers=at(1)),
        await http.delete("/v1/scenarios/checkout", headers=at(1)),
    ):
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("scenario checkout does not exist; GET /v1/scenarios")


async def test_listing(http):
    """By name, by owner and by state, in pages."""
    for name, owner in (("a", "ana"), ("b", "bo"), ("c", "ana"), ("d", "ana")):
        await made(http, name, owner=owner)
    await http.delete("/v1/scenarios/d", headers=at(1))

    async def names(query: str) -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            answer = await http.get(f"/v1/scenarios?{query}{cursor and f'&cursor={cursor}'}")
            assert answer.status_code == 200, answer.text
            found.append(",".join(one["name"] for one in answer.json()["items"]))
            cursor = answer.json()["next"]
        return found

    assert await names("") == ["a,b,c"]
    assert await names("limit=2") == ["a,b", "c"]
    assert await names("limit=1&owner=ana") == ["a", "c"]
    assert await names("state=removed") == ["d"]
    assert await names("state=all&limit=4") == ["a,b,c,d"]


@pytest.mark.parametrize("cursor", ["!", "A", "", "é", "a" * 201])
async def test_an_invalid_cursor(http, cursor):
    """Is refused; the error says where cursors come from."""
    refused = await http.get("/v1/scenarios", params={"cursor": cursor})
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("cursor: ")


@pytest.mark.parametrize("cursor", ["checkout", "0", "-1", "999999999999"])
async def test_a_cursor_of_another_list(http, cursor):
    """Cursors of versions are numbers; others are refused."""
    await made(http)
    assert (await http.get("/v1/scenarios/checkout/versions", params={"cursor": cursor})).status_code == 422


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"overrides": {}}, "overrides: "),
        ({"overrides": {"users": "pr-42"}}, "overrides.users: expected one of route.NAME, delay.NAME"),
        ({"overrides": {"route.users": "pr 42"}}, "overrides.route.users: expected letters"),
        ({"overrides": {f"config.f{n}": "ä" * 200 for n in range(10)}}, "at most 8192"),
        ({"overrides": ["users=pr-42"]}, "overrides: "),
        ({"description": "\x00"}, "description: expected text"),
        ({"expires": "2026-01-01T00:00:00"}, "expires: "),
        ({"expires": "soon"}, "expires: "),
        ({"versoin": 3}, "versoin: unknown field"),
    ],
)
async def test_invalid_scenarios(http, body, detail):
    """Are refused; the error names the field and what was expected."""
    content = json.dumps({**CHECKOUT, **body})
    refused = await http.put(
        "/v1/scenarios/checkout", content=content, headers={**NEW, "content-type": "application/json"}
    )
    assert refused.status_code == 422
    assert detail in refused.json()["detail"]


@pytest.mark.parametrize("name", ["Checkout", "a.b", "-a", "a" * 64, "%00", "ä"])
async def test_invalid_names(http, name):
    """A name is one label of a host name."""
    for method in ("GET", "PUT", "DELETE"):
        refused = await http.request(method, f"/v1/scenarios/{name}", json=CHECKOUT, headers=NEW)
        assert refused.status_code == 422
        assert "lowercase letters, digits and dashes" in refused.json()["detail"]


async def test_the_log_of_changes(http):
    """The author, the action and the subject, newest first, in pages."""
    ana, bo = ({"x-detour-user": name} for name in ("ana", "bo"))
    await http.put("/v1/scenarios/checkout", json=CHECKOUT, headers={**NEW, **ana})
    pr_42 = {"service": "users", "name": "pr-42", "endpoints": []}
    await http.post("/v1/deployments", json=pr_42, headers=bo)
    await http.patch("/v1/deployments/users/pr-42", json={"ttl": "1h"}, headers=ana)
    await http.delete("/v1/deployments/users/pr-42", headers=ana)
    await http.delete("/v1/deployments/users/pr-42", headers=ana)
    await http.delete("/v1/scenarios/checkout", headers={**at(1), **bo})
    first = (await http.get("/v1/changes?limit=3")).json()
    second = (await http.get(f"/v1/changes?limit=3&cursor={first['next']}")).json()
    found = [*first["items"], *second["items"]]
    assert [(one["who"], one["action"], one["kind"], one["subject"], one["version"]) for one in found] == [
        ("bo", "removed", "scenario", "checkout", 2),
        ("ana", "removed", "deployment", "users@pr-42", None),
        ("ana", "extended", "deployment", "users@pr-42", None),
        ("bo", "registered", "deployment", "users@pr-42", None),
        ("ana", "created", "scenario", "checkout", 1),
        # The first key of override tokens.
        ("detour", "created", "key", found[-1]["subject"], None),
    ]
    assert second["next"] is None


async def test_without_a_database(mesh_file, registry):
    """The error says that the server needs a database, and how to set one."""
    plane = control_plane(mesh_file, registry)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api(plane)), base_url="http://localhost") as http:
        for path in ("/v1/scenarios", "/v1/scenarios/a", "/v1/scenarios/a/resolve", "/v1/changes"):
            answer = await http.get(path)
            assert (answer.status_code, "--database URL" in answer.json()["detail"]) == (501, True)
        assert (
            await http.post("/v1/deployments", json={"service": "users", "name": "a", "endpoints": []})
        ).is_success
    await plane.ads.stop()


async def test_a_database_that_does_not_answer(http, plane, database, tmp_path):
    """Known scenarios still resolve; a write reports the failure and has no effect."""
    await made(http)
    for path in tmp_path.glob("scenarios.db*"):
        path.write_bytes(b"no database any more" * 1000)
    database.close()
    assert (await http.get("/v1/scenarios/checkout/resolve")).status_code == 200
    refused = await http.put("/v1/scenarios/checkout", json=CHECKOUT, headers=at(1))
    assert refused.status_code == 500
    assert "scenarios.db" in refused.json()["detail"]
    assert plane.book.get("checkout").version == 1


async def test_names_are_checked_once_the_mesh_is_known(http, plane):
    """The error suggests the nearest name; unchanged overrides are accepted, and `force` skips the check."""
    await made(http, "before", overrides={"route.users": "gone"})
    plane.is_ready = True
    typo = {"overrides": {"route.user": "pr-42"}}
    refused = await http.put("/v1/scenarios/typo", json=typo, headers=NEW)
    assert refused.status_code == 409
    detail = (
        "user=pr-42: the mesh has no service user; did you mean users=pr-42? To use names that do not exist yet"
    )
    assert refused.json()["detail"].startswith(detail)
    assert (await http.put("/v1/scenarios/typo?force=true", json=typo, headers=NEW)).status_code == 201
    body = {"overrides": {"route.users": "gone", "config.new": "on"}}
    assert (await http.put("/v1/scenarios/before", json=body, headers=at(1))).status_code == 200
    body = {"overrides": {"route.users": "lost"}}
    assert (await http.put("/v1/scenarios/before", json=body, headers=at(2))).status_code == 409


async def test_overrides_are_checked_without_being_saved(http, plane):
    """Each mistake comes with the nearest override."""
    plane.is_ready = True
    given = {"overrides": {"override.delay.user": "1s", "delay.users": "1s", "config.x": "on"}}
    answer = await http.post("/v1/overrides/check", json=given)
    assert answer.json()["mistakes"] == [
        {
            "key": "delay.user",
            "value": "1s",
            "detail": "delay.user=1s: the mesh has no service user; did you mean delay.users=1s?",
            "suggestion": "delay.users=1s",
        }
    ]
    unreadable = await http.post("/v1/overrides/check", json={"overrides": {"delay.users": "long"}})
    assert unreadable.status_code == 422
    assert unreadable.json()["detail"].startswith("overrides.delay.users: expected a delay such as 300ms")


async def test_a_name_with_a_slash(http):
    """The error says what a name may be, and suggests one, instead of an unknown path."""
    for name in ("feature/x", "feature%2Fx"):
        refused = await http.put(f"/v1/scenarios/{name}", json=CHECKOUT, headers=NEW)
        assert refused.status_code == 404
        assert refused.json()["detail"].endswith("lowercase letters, digits and dashes, such as feature-x")


async def test_keys_may_have_the_prefix(http):
    """They are stored without `override.`."""
    answer = await made(http, overrides={"override.route.users": "pr-42"})
    assert answer.json()["overrides"] == {"route.users": "pr-42"}
