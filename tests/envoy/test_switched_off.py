"""Overrides switched off: real sidecars and edges ignore them, and say so; nobody else notices."""

from base64 import b64decode
from dataclasses import replace
from types import MappingProxyType

import httpx
import pytest

from detour.mesh import Carrier, Scenarios, ScenariosApplied, Settings, SettingsApplied
from detour.overrides import parse_opentracing, parse_words, write_opentracing
from parts import Client, MeshUnderTest, edge_of

WHY = 'overrides are switched off by anna since 14:03 UTC: 50% of "users" fail'
IGNORED = f"ignored: {WHY}"
OVERRIDE = {"baggage": "a=b,override.route.users=pr-42,override.abort.users=418,override.config.text=1"}
CHECKOUT = ScenariosApplied(Scenarios(MappingProxyType({"checkout": parse_words(["users=pr-42"])})))
HOST = "checkout.preview.example.test"
WAYS = [
    {"x-detour-scenario": "checkout"},
    {"host": HOST},
    {"host": f"{HOST}:8000"},
    {"cookie": "a=1; detour=checkout; b=2"},
    {"origin": f"https://{HOST}"},
]


def switch(mesh: MeshUnderTest, why: str, **settings: object) -> None:
    """Switch overrides off, or on with no reason."""
    mesh.apply(SettingsApplied(replace(mesh.ads.mesh.settings, overrides_off=why, **settings)))


def is_ignored(answer: httpx.Response) -> bool:
    """Say whether a response says so."""
    return answer.headers.get("x-detour-overrides") == IGNORED


def sent(answer: httpx.Response, name: str) -> str | None:
    """Return a header that the instance got."""
    return dict(answer.json()["headers"]).get(name)


async def test_sidecars_ignore_overrides_and_say_so(mesh: MeshUnderTest, caller: Client) -> None:
    """For hosts that they know and others; the SDKs of whoever is called get none. Then they count again."""
    assert (await caller.get("http://users/")).json()["instance"] == "users-1"
    assert (await caller.get("http://users/", headers=OVERRIDE)).status_code == 418
    switch(mesh, WHY)
    answer = await caller.until("http://users/", is_ignored, headers=OVERRIDE)
    for address in ("http://users/", "http://users:8080/", "http://USERS/"):
        answer = await caller.get(address, headers=OVERRIDE)
        assert (answer.json()["instance"], is_ignored(answer)) == ("users-1", True)
        assert sent(answer, "baggage") == "a=b"
        assert "x-detour-served-by" not in answer.headers
    switch(mesh, "")
    await caller.until("http://users/", lambda answer: answer.status_code == 418, headers=OVERRIDE)


async def test_requests_without_overrides_do_not_notice(mesh: MeshUnderTest, caller: Client) -> None:
    """Neither the instance nor the caller, also where their headers look like it."""
    plain = [
        {},
        {"baggage": "a=b"},
        {"baggage": "a=override.route.users, b=%20c"},
        {"x-ot-span-context": "EgIIAQ=="},
    ]
    await caller.get("http://users/")
    before = [await caller.get("http://users/", headers=one) for one in plain]
    switch(mesh, WHY)
    await caller.until("http://users/", is_ignored, headers=OVERRIDE)
    for headers, answer in zip(plain, before, strict=True):
        now = await caller.get("http://users/", headers=headers)
        assert now.json() == answer.json()
        told = set(now.headers) - {"x-detour-served-by"}
        assert told == set(answer.headers) - {"x-detour-served-by"}


async def test_sidecars_ignore_the_opentracing_header_too(mesh: MeshUnderTest, caller: Client) -> None:
    """Where the mesh honours it; it reaches the instance without them, and else as it was."""
    switch(mesh, WHY, carriers=(Carrier.BAGGAGE, Carrier.OPENTRACING))
    for words in (
        ["users=pr-42"],
        ["users=pr-42", "config.a=b"],
        ["users=pr-42", "config.a=bc"],
        ["log.users=debug"],
    ):
        header = write_opentracing(None, parse_words(words))
        answer = await caller.until("http://users/", is_ignored, headers={"x-ot-span-context": header})
        assert answer.json()["instance"] == "users-1"
        passed = sent(answer, "x-ot-span-context")
        assert not parse_opentracing(passed).overrides
        assert b64decode(passed) == b64decode(header).replace(b"\x09overrides", b"\x09-ignored-")


@pytest.mark.parametrize("trusts", [False, True])
async def test_edges_ignore_overrides_and_scenarios_and_say_so(mesh: MeshUnderTest, trusts: bool) -> None:
    """Every way into a scenario leads to the baseline; a request without one is served as ever."""
    mesh.apply(SettingsApplied(edge_of({"preview.example.test": "users"}, any="users")), CHECKOUT)
    edge = await mesh.edge(trust_overrides=trusts)
    plain = {"cookie": "a=1; xdetour=checkout", "baggage": "a=b"}
    before = await edge.get("/?xdetour=checkout", headers=plain)
    switch(mesh, WHY)
    await edge.until("/", is_ignored, headers=OVERRIDE)
    for headers in (OVERRIDE, *WAYS, {"cookie": "detour=checkout", **OVERRIDE}):
        answer = await edge.get("/", headers=headers)
        assert (answer.json()["instance"], is_ignored(answer)) == ("users-1", True), headers
        assert sent(answer, "baggage") in {None, "a=b"}
    assert is_ignored(await edge.get("/?a=1&detour=checkout"))
    now = await edge.get("/?xdetour=checkout", headers=plain)
    assert set(now.headers) == set(before.headers)
    assert "x-detour-overrides" not in now.headers
    switch(mesh, "")
    await edge.until("/", lambda answer: answer.json()["instance"] == "users-pr-42", headers=WAYS[0])


def test_settings_say_why() -> None:
    """By default overrides count."""
    assert Settings().overrides_off == ""
