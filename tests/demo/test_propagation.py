import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx

from demo.recording_proxy import RecordingProxy
from detour.demo.call_tree import from_json, hops
from detour.demo.http_calls import call
from detour.demo.machine import left_out
from detour.demo.mesh import accepts, instance_command, service_environment
from detour.demo.ports import Ports
from detour.demo.processes import Process
from detour.demo.topology import QUEUE, WHOLE

DEADLINE_SECONDS = 30
MESH = WHOLE.without(left_out(WHOLE))


@asynccontextmanager
async def services(tmp_path):
    """Run an instance of each service; a recording proxy stands where the sidecars would."""
    async with AsyncExitStack() as stack:
        supply = stack.enter_context(Ports())
        baseline = [one for one in MESH.instances if one.name.endswith("-1") and not one.deployment]
        ports = {one.service: supply.take() for one in baseline}
        proxy = await stack.enter_async_context(RecordingProxy(ports))
        broker = supply.take()
        commands = {ports[one.service]: instance_command(MESH, one, ports[one.service]) for one in baseline}
        if any(one.scheme == QUEUE for one in MESH):
            commands[broker] = ["redis-server", "--port", str(broker), "--save", "", "--dir", str(tmp_path)]
        environment = {
            **service_environment(os.environ, proxy.port),
            "REDIS_URL": f"redis://127.0.0.1:{broker}",
        }
        started = {}
        for port, command in commands.items():
            started[port] = Process(str(port), command, environment, tmp_path / f"{port}.log")
            stack.push_async_callback(started[port].stop)
        await asyncio.gather(
            *(process.ready(partial(accepts, port), DEADLINE_SECONDS) for port, process in started.items())
        )
        yield (
            proxy,
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['web']}", trust_env=False)
            ),
        )


async def test_services_carry_the_baggage_to_the_last_hop(tmp_path):
    """Through HTTP, gRPC and a queue an override, and somebody else's entry, come to every call."""
    baggage = "tenant=blue,override.route.users=pr-42"
    async with services(tmp_path) as (proxy, web):
        tree = await call(web, "web", "/rides", {"baggage": baggage})
        calls_of_users = sum("users" in one.calls for one in MESH)
        assert [one.to for _, one in hops(tree, "edge")].count("users") == calls_of_users
        assert all(one.answer for _, one in hops(tree, "edge"))
        called = [called for one in MESH for called in one.calls if MESH.service(called).scheme == "http"]
        over_http = [(host, carried) for host, carried in proxy.seen if host != "drivers"]
        assert sorted(over_http) == [(host, baggage) for host in sorted(called)]

        await call(web, "web", "/rides")
        assert {carried for _, carried in proxy.seen[len(over_http) + 1 :]} == {""}


async def test_the_entrance_says_what_to_try_and_answers_a_tree_elsewhere(tmp_path):
    """The root path is a welcome, every other path the call tree as JSON."""
    async with services(tmp_path) as (_, web):
        assert "/rides" in (await web.get("/")).json()["try"]
        assert from_json((await web.get("/rides")).json()).instance == "web-1"


async def test_a_call_that_cannot_be_made_is_part_of_the_tree():
    """Nobody listens: the call says so, and nothing is raised."""
    with Ports() as ports:
        async with httpx.AsyncClient(trust_env=False) as http:
            failed = await call(http, "users", f"http://127.0.0.1:{ports.take()}/")
    assert failed.status == "unreachable"
    assert "ConnectError" in failed.error
    assert failed.answer is None
