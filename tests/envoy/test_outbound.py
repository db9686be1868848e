"""The outbound listener of a real sidecar: plain HTTP, overrides, faults, and the outside."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from detour.mesh import (
    Carrier,
    Endpoint,
    Mesh,
    RetryPolicy,
    Service,
    ServiceApplied,
    Settings,
    SettingsApplied,
)
from detour.overrides import parse_words, write_opentracing
from detour.xds.holdings import Limits
from detour.xds.server import AdsServer
from parts import Client, MeshUnderTest, http_instance
from ports import free_port

ROUTE = "override.route.users="


def header(answer: httpx.Response, name: str) -> str | None:
    """Return a header as the instance received it."""
    return dict(answer.json()["headers"]).get(name)


async def test_without_an_override_the_baseline_answers(caller: Client) -> None:
    """The usual request. Nobody is told who served it: without an override it can be nobody else."""
    answer = await caller.get("http://users/some/path?a=b")
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-1")
    assert answer.json()["path"] == "/some/path"
    assert "x-detour-served-by" not in answer.headers


async def test_a_request_with_overrides_is_told_at_each_hop_who_served_it(caller: Client) -> None:
    """Also where its overrides are of other services: the baseline, by its name."""
    for baggage in ("override.route.payments=pr-1", "override.log.users=debug", "override.log.users=!"):
        answer = await caller.get("http://users:8080/", headers={"baggage": baggage})
        assert answer.headers["x-detour-served-by"] == "users"


async def test_an_override_sends_that_request_to_the_deployment(caller: Client) -> None:
    """The override goes on with the request; the next request without it is the baseline's again."""
    answer = await caller.get("http://users/", headers={"baggage": f"a=1,{ROUTE}pr-42;p=q,b=2"})
    assert answer.json()["instance"] == "users-pr-42"
    assert answer.headers["x-detour-served-by"] == "users@pr-42"
    assert header(answer, "baggage") == f"a=1,{ROUTE}pr-42;p=q,b=2"
    assert (await caller.get("http://users/")).json()["instance"] == "users-1"


async def test_an_override_in_the_second_of_two_header_lines_counts(caller: Client) -> None:
    """Baggage may be split over several lines (W3C Baggage 3.2)."""
    lines = [("baggage", "a=1"), ("baggage", f"{ROUTE}pr-42")]
    assert (await caller.get("http://users/", headers=lines)).json()["instance"] == "users-pr-42"


@pytest.mark.parametrize(
    "baggage",
    [
        "override.route.payments=pr-42",
        "x-override.route.users=pr-42",
        "a=override.route.users=pr-42",
        "a=b;override.route.users=pr-42",
        "override.route.users2=pr-42",
        "Override.Route.Users=pr-42",
    ],
)
async def test_an_override_that_is_none_changes_nothing(caller: Client, baggage: str) -> None:
    """Overrides of other services and lookalikes leave the request on the baseline."""
    answer = await caller.get("http://users/", headers={"baggage": baggage})
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-1")


async def test_the_authority_may_have_a_port_and_capitals(caller: Client) -> None:
    """A service is called by name, whatever port and spelling the client likes."""
    for authority in ("users:8080", "USERS", "Users:9"):
        answer = await caller.get(f"http://{authority}/", headers={"baggage": f"{ROUTE}pr-42"})
        assert answer.json()["instance"] == "users-pr-42"
        assert answer.headers["x-detour-served-by"] == "users@pr-42"


async def test_the_listener_also_goes_by_the_host_header(caller: Client) -> None:
    """Without a proxy: a request sent straight to the listener, naming its service as Host."""
    async with httpx.AsyncClient(trust_env=False) as direct:
        answer = await direct.get(f"http://127.0.0.1:{caller.port}/", headers={"host": "users"})
    assert answer.json()["instance"] == "users-1"


async def test_a_missing_deployment_is_said_and_not_replaced(caller: Client) -> None:
    """503 with the deployment's and the service's name, at once."""
    answer = await caller.get("http://users/", headers={"baggage": f"{ROUTE}pr-404"})
    assert answer.status_code == 503
    assert "no ready instance of deployment pr-404 of service users" in answer.text
    assert answer.headers["x-detour-served-by"] == "users@pr-404"


async def test_a_request_may_ask_for_the_baseline_instead_of_a_missing_deployment(
    mesh: MeshUnderTest, caller: Client
) -> None:
    """`override.missing=baseline`; the response says who answered, before and after the deployment is gone."""
    headers = {"baggage": f"{ROUTE}pr-42,override.missing=baseline"}
    assert (await caller.get("http://users/", headers=headers)).headers["x-detour-served-by"] == "users@pr-42"
    mesh.unregister("users", "pr-42")
    async with asyncio.timeout(10):
        while (answer := await caller.get("http://users/", headers=headers)).json()["instance"] != "users-1":
            pass
    assert answer.headers["x-detour-served-by"] == "users"


async def test_a_deployment_that_comes_back_serves_again(mesh: MeshUnderTest, caller: Client) -> None:
    """Gone is 503, back is served: both without a restart of anything."""
    headers = {"baggage": f"{ROUTE}pr-42"}
    endpoints = mesh.ads.mesh.deployment("users", "pr-42").endpoints
    assert (await caller.get("http://users/", headers=headers)).status_code == 200
    mesh.unregister("users", "pr-42")
    async with asyncio.timeout(10):
        while (await caller.get("http://users/", headers=headers)).status_code != 503:
            pass
    mesh.register("users", "pr-42", *endpoints)
    async with asyncio.timeout(10):
        while (await caller.get("http://users/", headers=headers)).status_code != 200:
            pass


async def test_a_service_without_instances_is_said(caller: Client) -> None:
    """503 that names the service."""
    answer = await caller.get("http://nobody/")
    assert (answer.status_code, "service nobody has no ready instance" in answer.text) == (503, True)


async def test_bodies_of_first_requests_arrive_whole(caller: Client) -> None:
    """A request that waits for its cluster may have a body of any size, also one of unknown length."""

    async def chunks():
        for _ in range(64):
            yield bytes(16_384)

    for port in (8001, 8002):
        answer = await caller.post(f"http://users:{port}/", content=chunks())
        assert (answer.status_code, answer.json()["length"]) == (200, 64 * 16_384)
    assert (await caller.post("http://users:8003/", content=bytes(500_000))).json()["length"] == 500_000


async def test_a_delay_holds_its_service_and_no_other(caller: Client) -> None:
    """The fault filter is on for requests that ask for it, and waits for the service that is named."""
    held = {"baggage": "override.delay.users=250ms"}
    assert (await caller.get("http://users/", headers=held)).elapsed.total_seconds() >= 0.25
    assert await caller.stat("http.outbound.fault.delays_injected") == 1
    other = {"baggage": "override.delay.payments=5s"}
    assert (await caller.get("http://users/", headers=other)).status_code == 200
    assert await caller.stat("http.outbound.fault.delays_injected") == 1


async def test_an_abort_fails_its_service_with_that_status(caller: Client) -> None:
    """The instance never sees the request."""
    answer = await caller.get("http://users/", headers={"baggage": "override.abort.users=418"})
    assert answer.status_code == 418
    assert (await caller.get("http://users/", headers={"baggage": "override.abort.greeter=418"})).status_code == 200


async def test_a_fault_and_a_route_apply_together(caller: Client) -> None:
    """Delay on the way to a deployment."""
    answer = await caller.get("http://users/", headers={"baggage": f"override.delay.users=10ms,{ROUTE}pr-42"})
    assert answer.json()["instance"] == "users-pr-42"
    assert await caller.stat("http.outbound.fault.delays_injected") == 1


@pytest.mark.parametrize("baggage", ["", "override.delay.users=1ms", "override.abort.payments=999"])
async def test_a_clients_own_fault_and_destination_headers_have_no_effect(caller: Client, baggage: str) -> None:
    """Neither without an override nor where a route has the fault filter on."""
    headers = {
        "baggage": baggage,
        "x-envoy-fault-abort-request": "500",
        "x-envoy-fault-abort-request-percentage": "100",
        "x-envoy-fault-abort-grpc-request": "14",
        "x-envoy-fault-delay-request": "30000",
        "x-envoy-fault-throughput-response": "1",
        "x-envoy-original-dst-host": "127.0.0.1:1",
    }
    answer = await caller.get("http://users/", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["instance"]) == (200, "users-1")


async def test_what_leaves_the_mesh_carries_no_override_and_no_internal_header(caller: Client) -> None:
    """A forward proxy for everybody else; others' baggage goes through untouched."""
    async with http_instance("outside") as outside:
        headers = {
            "baggage": "a=1;p,override.route.users=pr-42,%6Fverride.log.users=debug,b=2",
            "x-ot-span-context": "EhQJQjioEaYHBgcRNmifUO4Kv/0YAQ==",
            "x-envoy-original-dst-host": "127.0.0.1:1",
            "x-detour-anything": "1",
        }
        answer = await caller.get(f"http://{outside}/", headers=headers)
    assert answer.json()["instance"] == "outside"
    assert header(answer, "baggage") == "a=1;p,b=2"
    names = {name for name, _ in answer.json()["headers"]}
    assert not any(name.startswith(("x-envoy-", "x-detour-", "x-ot-", "x-forwarded-")) for name in names)


async def test_an_unknown_host_says_that_neither_mesh_nor_dns_knows_it(caller: Client) -> None:
    """A misspelt service is the usual reason."""
    answer = await caller.get("http://usres.invalid/")
    assert answer.status_code == 503
    assert "the mesh has no service usres.invalid, and DNS cannot resolve that name" in answer.text


async def test_an_override_of_what_is_no_service_fails_aloud(caller: Client) -> None:
    """The outside has no deployments."""
    answer = await caller.get("http://outside.invalid/", headers={"baggage": "override.route.outside.invalid=pr-1"})
    assert (answer.status_code, "the mesh has no service" in answer.text) == (503, True)


async def test_a_request_to_the_listener_itself_is_explained(caller: Client) -> None:
    """The newcomer's mistake: curl straight to the port, without proxy and Host."""
    async with httpx.AsyncClient(trust_env=False) as direct:
        answer = await direct.get(f"http://127.0.0.1:{caller.port}/")
    assert (answer.status_code, "outbound listener" in answer.text) == (421, True)


async def test_a_host_name_chooses_no_deployment(caller: Client) -> None:
    """Only baggage does."""
    async with httpx.AsyncClient(trust_env=False) as direct:
        for host in ("users@pr-42", "connect@users"):
            answer = await direct.get(f"http://127.0.0.1:{caller.port}/", headers={"host": host})
            assert answer.status_code == 400


async def test_a_timeout_ends_an_attempt_and_says_so(mesh: MeshUnderTest, caller: Client) -> None:
    """504 with the service's name. The instance accepts connections and never answers."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        endpoint = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        mesh.apply(ServiceApplied(Service("slow", (endpoint,), timeout=timedelta(milliseconds=200))))
        answer = await caller.get("http://slow/")
    assert (answer.status_code, "slow did not answer within its timeout" in answer.text) == (504, True)


async def test_retries_go_to_another_instance(mesh: MeshUnderTest, caller: Client) -> None:
    """An instance that refuses connections costs nobody a request."""
    endpoints = (*mesh.ads.mesh.services["users"].endpoints, Endpoint("127.0.0.1", free_port()))
    mesh.apply(ServiceApplied(Service("both", endpoints, retries=RetryPolicy(3))))
    answers = [await caller.get("http://both/") for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}


async def test_the_opentracing_header_counts_only_where_the_mesh_says_so(
    mesh: MeshUnderTest, caller: Client
) -> None:
    """`carriers` can be changed while everything runs."""
    headers = {"x-ot-span-context": write_opentracing(None, parse_words(["users=pr-42"]))}
    assert (await caller.get("http://users/", headers=headers)).json()["instance"] == "users-1"
    mesh.apply(SettingsApplied(Settings((Carrier.BAGGAGE, Carrier.OPENTRACING))))
    async with asyncio.timeout(10):
        while (await caller.get("http://users/", headers=headers)).json()["instance"] != "users-pr-42":
            pass
    both = {**headers, "baggage": "override.route.users=pr-404"}
    assert (await caller.get("http://users/", headers=both)).status_code == 503


async def test_a_sidecar_works_on_while_the_control_plane_is_away(mesh: MeshUnderTest, caller: Client) -> None:
    """What it has it keeps; what it has not it cannot learn, and says so."""
    headers = {"baggage": f"{ROUTE}pr-42"}
    for wanted in ({}, headers):
        assert (await caller.get("http://users/", headers=wanted)).status_code == 200
    await mesh.ads.stop()
    assert (await caller.get("http://users/")).json()["instance"] == "users-1"
    assert (await caller.get("http://users/", headers=headers)).json()["instance"] == "users-pr-42"
    answer = await caller.get("http://nobody/")
    assert (answer.status_code, "the control plane did not resolve" in answer.text) == (503, True)


async def test_names_that_clients_make_up_are_withdrawn_and_return_with_the_deployment(
    mesh: MeshUnderTest, caller: Client
) -> None:
    """A flood of names fills no memory, and a name that was withdrawn works once a deployment has it."""
    (connection,) = mesh.ads.connections
    connection.session._holdings._limits = Limits(unbacked=5)
    for number in range(12):
        answer = await caller.get("http://users/", headers={"baggage": f"{ROUTE}made-up-{number}"})
        assert answer.status_code == 503
    async with asyncio.timeout(10):
        while await caller.stat("cluster_manager.cluster_removed") < 7:
            pass
    mesh.register("users", "made-up-0", *mesh.ads.mesh.deployment("users", "pr-42").endpoints)
    headers = {"baggage": f"{ROUTE}made-up-0"}
    async with asyncio.timeout(10):
        while (answer := await caller.get("http://users/", headers=headers)).status_code != 200:
            pass
    assert answer.json()["instance"] == "users-pr-42"


async def test_a_service_that_leaves_the_mesh_is_looked_for_outside(mesh: MeshUnderTest, caller: Client) -> None:
    """Its cluster turns from the mesh's into the forward proxy's, and back."""
    users = mesh.ads.mesh.services["users"]
    assert (await caller.get("http://users/")).status_code == 200
    mesh.ads.update(Mesh.of([], []), {"users"})
    async with asyncio.timeout(10):
        while "DNS cannot resolve" not in (await caller.get("http://users/")).text:
            pass
    mesh.apply(ServiceApplied(users))
    async with asyncio.timeout(10):
        while (await caller.get("http://users/")).status_code != 200:
            pass


async def test_a_control_plane_that_comes_back_is_followed_again(mesh: MeshUnderTest, caller: Client) -> None:
    """Another server on the same address: what changed meanwhile arrives, what did not is not sent again."""
    headers = {"baggage": f"{ROUTE}pr-42"}
    for wanted in ({}, headers):
        assert (await caller.get("http://users/", headers=wanted)).status_code == 200
    await mesh.ads.stop()
    known = mesh.ads.mesh
    mesh.ads = AdsServer(Mesh.of(known.services.values(), [], known.settings))
    await mesh.ads.start(f"127.0.0.1:{mesh.port}")
    try:
        async with asyncio.timeout(20):
            while (await caller.get("http://users/", headers=headers)).status_code != 503:
                assert (await caller.get("http://users/")).json()["instance"] == "users-1"
        (connection,) = mesh.ads.connections
        assert connection.sent_bytes < 500
    finally:
        await mesh.ads.stop()
