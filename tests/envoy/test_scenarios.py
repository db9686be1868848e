"""Scenarios at a real edge: by host, header, query, cookie and origin; what is added, and what ends them."""

from collections.abc import Mapping
from types import MappingProxyType

import httpx
import pytest

from detour.mesh import Carrier, Scenarios, ScenariosApplied, SettingsApplied
from detour.overrides import parse_baggage, parse_words
from parts import Client, MeshUnderTest, edge_of

HOST = "checkout.preview.example.test"
WAYS: Mapping[str, Mapping[str, str]] = {
    "host": {"host": HOST},
    "host and port": {"host": f"{HOST}:8000"},
    "header": {"x-detour-scenario": "checkout"},
    "cookie": {"cookie": "a=1; detour=checkout; b=2"},
    "origin": {"origin": f"https://{HOST}"},
    "origin and port": {"origin": f"http://{HOST}:8000"},
}
PAGE = {"accept": "text/html"}
WORDS = ("users=pr-42", "delay.payments=300ms", "config.text=50% off, = yes")


def scenarios(*words: str, name: str = "checkout", **ended: str) -> ScenariosApplied:
    """Return a scenario of these overrides, and those that have ended."""
    live = MappingProxyType({name: parse_words(words)} if words else {})
    return ScenariosApplied(
        Scenarios(live, MappingProxyType({key.replace("_", "-"): to for key, to in ended.items()}))
    )


@pytest.fixture
def previewed(mesh: MeshUnderTest) -> MeshUnderTest:
    """Return a mesh with a preview domain, and a scenario in which users is pr-42."""
    mesh.apply(SettingsApplied(edge_of({"preview.example.test": "users"}, any="users")), scenarios(*WORDS))
    return mesh


def baggage(answer) -> list[str]:
    """Return the baggage lines that the application got."""
    return [value for name, value in answer.json()["headers"] if name == "baggage"]


@pytest.mark.parametrize("trusts", [False, True])
async def test_every_way_into_a_scenario(previewed: MeshUnderTest, trusts: bool) -> None:
    """Leads to its deployment, with its overrides for the hops behind, and says so."""
    edge = await previewed.edge(trust_overrides=trusts)
    for headers in WAYS.values():
        answer = await edge.get("/rides?a=1", headers=headers)
        assert (answer.status_code, answer.json()["instance"]) == (200, "users-pr-42"), answer.text
        assert answer.headers["x-detour-served-by"] == "users@pr-42"
        assert answer.headers["x-detour-scenario"] == "checkout"
        (line,) = baggage(answer)
        assert parse_baggage([line]).overrides == parse_words(WORDS)
    plain = await edge.get("/rides", headers={"cookie": "a=1; xdetour=checkout"})
    assert plain.json()["instance"] == "users-1"
    assert not {"x-detour-scenario", "x-detour-served-by"} & set(plain.headers)
    assert baggage(plain) == []


async def test_other_peoples_baggage_stays(previewed: MeshUnderTest) -> None:
    """What is there is added to, in one line; overrides from outside are taken out first."""
    edge = await previewed.edge(trust_overrides=False)
    for way in WAYS.values():
        headers = [*way.items(), ("baggage", "a=1;p=q,override.route.users=pr-7"), ("baggage", "b=2")]
        (line,) = baggage(await edge.get("/", headers=headers))
        assert line.startswith("a=1;p=q,b=2,override.route.users=pr-42,")
        assert parse_baggage([line]).overrides == parse_words(WORDS)


async def test_a_trusting_edge_lets_a_request_say_more(previewed: MeshUnderTest) -> None:
    """Of the service behind the edge the scenario speaks, if it does; else the request's own overrides."""
    edge = await previewed.edge(trust_overrides=True)
    own = "a=1,override.route.users=pr-7,override.log.users=debug"
    for way in WAYS.values():
        answer = await edge.get("/", headers=[*way.items(), ("baggage", own)])
        assert answer.json()["instance"] == "users-pr-42"
        (line,) = baggage(answer)
        assert parse_baggage([line]).overrides == parse_words([*WORDS, "log.users=debug"])
    previewed.apply(scenarios("payments=pr-1"))
    answer = await edge.until("/", lambda one: "payments=pr-1" in str(baggage(one)), headers=WAYS["host"])
    assert answer.json()["instance"] == "users-1"
    for way in WAYS.values():
        answer = await edge.get("/", headers=[*way.items(), ("baggage", "override.route.users=pr-42")])
        assert answer.json()["instance"] == "users-pr-42"
        assert parse_baggage(baggage(answer)).overrides == parse_words(["users=pr-42", "payments=pr-1"])
        answer = await edge.get("/", headers=[*way.items(), ("baggage", "override.abort.users=418")])
        assert answer.status_code == 418


async def test_a_query_on_what_nobody_follows(previewed: MeshUnderTest) -> None:
    """A request that changes something is in the scenario at once, or out of it, and goes where it was meant to."""
    edge = await previewed.edge(trust_overrides=False)
    answer = await edge.request("POST", "/?detour=checkout", content=b"x")
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-pr-42")
    for cookies, left in (("detour=checkout", ""), ("a=1; detour=checkout; xdetour=2", "a=1; ; xdetour=2")):
        answer = await edge.request("POST", "/?detour=", headers={"cookie": cookies}, content=b"x")
        assert answer.json()["instance"] == "users-1"
        assert dict(answer.json()["headers"])["cookie"] == left


@pytest.mark.parametrize(
    "more",
    [
        {"cookie": "xdetour=checkout"},
        {"cookie": "detour="},
        {"cookie": "detour=<script>"},
        {"cookie": "a=1; detour=A7; b=2"},
        {"cookie": "detour=" + "a" * 64},
        {"cookie": "detour=x_1", "path": "/?xdetour=1&a=detour=2"},
        {"origin": "http://preview.example.test"},
        {"path": "/detour=checkout"},
        {"path": "/?xdetour=checkout"},
    ],
)
async def test_what_only_looks_like_a_scenario(previewed: MeshUnderTest, more: dict[str, str]) -> None:
    """Is none; and what else holds of requests from outside holds of these."""
    path = more.pop("path", "/")
    headers = {**more, "baggage": "a=1,override.route.users=pr-42"}
    strict, trusting = [await previewed.edge(trust_overrides=trusts) for trusts in (False, True)]
    answer = await strict.get(path, headers=headers)
    assert (answer.json()["instance"], baggage(answer)) == ("users-1", ["a=1"])
    assert not {"x-detour-entered", "x-detour-scenario"} & {name for name, _ in answer.json()["headers"]}
    answer = await trusting.get(path, headers=headers)
    assert answer.json()["instance"] == "users-pr-42"
    assert (await trusting.get(path, headers={**more, "baggage": "override.abort.users=418"})).status_code == 418


async def test_a_query_on_a_preview_host(previewed: MeshUnderTest) -> None:
    """The host says which scenario it is; a link to another one leads there."""
    edge = await previewed.edge(trust_overrides=False)
    for path in ("/detour=other", "/?xdetour=other"):
        assert (await edge.get(path, headers=WAYS["host"])).json()["instance"] == "users-pr-42"
    for value, host in (("other", "other.preview"), ("", "preview")):
        answer = await edge.get(f"/rides?detour={value}", headers=WAYS["host and port"])
        assert answer.headers["location"] == f"//{host}.example.test:8000/rides"
        assert "set-cookie" not in answer.headers
    answer = await edge.request("POST", "/?detour=other", headers=WAYS["host"], content=b"x")
    assert answer.json()["instance"] == "users-pr-42"


async def test_leaving(previewed: MeshUnderTest) -> None:
    """An empty query takes the cookie away, and leads from a preview host to the domain itself."""
    edge = await previewed.edge(trust_overrides=False)
    answer = await edge.get("/rides?detour=&a=1", headers={"cookie": "detour=checkout"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/rides?a=1")
    assert answer.headers["set-cookie"].startswith("detour=; Max-Age=0; Path=/")
    answer = await edge.get("/rides?detour=", headers={"host": f"{HOST}:8000"})
    assert (answer.status_code, answer.headers["location"]) == (302, "//preview.example.test:8000/rides")
    answer = await edge.get("/rides", headers={"host": "preview.example.test:8000"})
    assert answer.json()["instance"] == "users-1"


@pytest.mark.parametrize(
    "path", ["//evil.test/?detour=checkout", "/\\evil.test/?detour=checkout", "///evil.test?detour="]
)
async def test_no_link_leads_to_another_host(previewed: MeshUnderTest, path: str) -> None:
    """However it is written: an edge is nobody's open redirect."""
    edge = await previewed.edge(trust_overrides=False)
    url = httpx.URL(edge.base_url).copy_with(raw_path=path.encode())
    answer = await edge.get(url, headers=PAGE)
    assert answer.headers.get("location", "/")[:2] not in {"//", "/\\"}, answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "nobody.preview.example.test"},
        {"x-detour-scenario": "nobody"},
        {"cookie": "detour=nobody"},
        {"x-detour-scenario": "<script>"},
        {"origin": "http://nobody.preview.example.test"},
    ],
)
async def test_what_is_no_scenario(previewed: MeshUnderTest, headers: dict[str, str]) -> None:
    """Gets a page that says so and leads on, never the baseline in silence."""
    edge = await previewed.edge(trust_overrides=False)
    assert (await edge.get("/rides", headers={"x-detour-scenario": ""})).status_code == 404
    answer = await edge.get("/rides", headers={**headers, **PAGE})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Unknown scenario" in answer.text
    assert 'href="?detour="' in answer.text
    assert "<script>" not in answer.text


async def test_a_scenario_that_is_over(previewed: MeshUnderTest) -> None:
    """Its open links say what became of it."""
    edge = await previewed.edge(trust_overrides=False)
    assert (await edge.get("/", headers=WAYS["host"])).status_code == 200
    previewed.apply(scenarios(checkout="was removed by <b>bo</b>, 100%"))
    for way in WAYS.values():
        answer = await edge.until("/", lambda one: one.status_code == 410, headers={**way, **PAGE})
        assert "The scenario checkout has ended" in answer.text
        assert "was removed by &lt;b&gt;bo&lt;/b&gt;, 100%." in answer.text
        assert answer.headers["cache-control"] == "no-store"


async def test_a_change_takes_effect_on_open_links(previewed: MeshUnderTest) -> None:
    """Also on a connection that is open."""
    edge = await previewed.edge(trust_overrides=False)
    for way in WAYS.values():
        assert (await edge.get("/", headers=way)).json()["instance"] == "users-pr-42"
    previewed.apply(scenarios("config.x=1"))
    for way in WAYS.values():
        answer = await edge.until("/", lambda one: "override.config.x" in str(baggage(one)), headers=way)
        assert answer.json()["instance"] == "users-1"


async def test_faults_of_the_service_behind_the_edge(previewed: MeshUnderTest) -> None:
    """Are the edge's own; of others, the hops' behind it."""
    edge = await previewed.edge(trust_overrides=False)
    for words, status in (
        (["abort.users=418", "delay.users=1ms"], 418),
        (["abort.users=14", "delay.users=0ms"], 200),
        (["abort.other=418"], 200),
    ):
        previewed.apply(scenarios(*words, "config.x=1", name=f"fault-{status}-{len(words)}"))
        for headers in ({}, {"baggage": "a=1"}):
            named = {"x-detour-scenario": f"fault-{status}-{len(words)}", **headers}
            answer = await edge.until("/", lambda one: one.status_code != 404, headers=named)
            assert answer.status_code == status
    grpc = {"x-detour-scenario": "fault-200-2", "content-type": "application/grpc"}
    previewed.apply(scenarios("abort.users=14", name="fault-200-2"))
    answer = await edge.until("/", lambda one: one.headers.get("grpc-status") == "14", headers=grpc)


async def test_a_deployment_that_is_missing(previewed: MeshUnderTest) -> None:
    """Fails aloud, and is the baseline where the scenario says so."""
    edge = await previewed.edge(trust_overrides=False)
    previewed.apply(scenarios("users=pr-404"))
    answer = await edge.until("/", lambda one: one.status_code == 503, headers=WAYS["cookie"])
    assert "deployment pr-404 of service users" in answer.text
    previewed.apply(scenarios("users=pr-404", "missing=baseline"))
    answer = await edge.until("/", lambda one: one.status_code == 200, headers=WAYS["cookie"])
    assert (answer.json()["instance"], answer.headers["x-detour-served-by"]) == ("users-1", "users")


async def test_preflights_reach_the_deployment(previewed: MeshUnderTest) -> None:
    """They carry no header of the page: by host, by cookie, and by the origin of a preview page."""
    edge = await previewed.edge(trust_overrides=False)
    asking = {"access-control-request-method": "PUT", "access-control-request-headers": "baggage"}
    for way in ("host", "cookie", "origin"):
        answer = await edge.request("OPTIONS", "/", headers={**asking, **WAYS[way]})
        assert answer.headers["x-detour-served-by"] == "users@pr-42"


async def test_without_scenarios_an_edge_looks_for_none(mesh: MeshUnderTest) -> None:
    """A cookie called detour is an application's own where nobody keeps scenarios."""
    edge = await mesh.edge(trust_overrides=False)
    assert (await edge.get("/?detour=x", headers={"cookie": "detour=x"})).json()["instance"] == "users-1"


async def test_scenarios_beside_opentracing(previewed: MeshUnderTest) -> None:
    """Where the mesh honours both headers, a scenario is in the baggage."""
    settings = edge_of({"preview.example.test": "users"}, any="users")
    carriers = (Carrier.BAGGAGE, Carrier.OPENTRACING)
    previewed.apply(SettingsApplied(type(settings)(carriers, settings.edge_hosts, settings.edge_previews)))
    for trusts in (False, True):
        edge: Client = await previewed.edge(trust_overrides=trusts)
        answer = await edge.get("/", headers=WAYS["host"])
        assert answer.json()["instance"] == "users-pr-42"
