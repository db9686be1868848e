"""Discovery against an API server that goes wrong in every way that a real one does at times."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from detour.discovery.kubernetes import Discovery, Timing
from detour.kubernetes.api import Api
from detour.mesh import Mesh, MeshEvent, Naming, apply
from kubernetes_objects import deployment, endpoint, endpoint_slice, pod, service
from scripted_api import ScriptedApi, scripted_api

USERS = pod("users-1", "10.0.0.1", app="users")
PR_42 = pod("users-pr-42", "10.0.0.9", detour_offloaded="pr-42", detour_service="users")
QUICK = Timing(silence=30, longest=60, retry=0.01, retry_max=0.02, quiet=0.001)


class Listener:
    """Receives the events of discovery."""

    def __init__(self, discovery: Discovery) -> None:
        self.discovery = discovery
        self.mesh: Mesh | None = None
        self.events: list[MeshEvent] = []
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, events: tuple[MeshEvent, ...]) -> None:
        """Apply events, as the server does."""
        self.mesh = apply(self.mesh or Mesh(), *events)
        self.events += events
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until(self, holds: Callable[[Mesh], bool]) -> Mesh:
        """Wait until the mesh is as it should be."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: self.mesh is not None and holds(self.mesh))
        return self.mesh

    async def until_problem(self, text: str) -> None:
        """Wait until a problem is reported with that text; none at all if it is empty."""
        async with asyncio.timeout(20):
            while not (
                any(text in one for one in self.discovery.problems) if text else not self.discovery.problems
            ):
                await asyncio.sleep(0.005)

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def following(api: ScriptedApi, *namespaces: str, timing: Timing = QUICK) -> AsyncIterator[Listener]:
    """Run discovery, and end it."""
    connection = Api(api.config)
    listener = Listener(Discovery(connection, namespaces or ("shop",), Naming(home="shop"), timing))
    task = asyncio.create_task(listener.discovery.follow(listener.take))
    try:
        yield listener
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await connection.close()


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    """Run an API server that has users, with one pod."""
    async with scripted_api() as server:
        await server.put("services", service())
        await server.put("pods", USERS)
        await server.put("endpointslices", endpoint_slice("users", endpoint(USERS)))
        yield server


def baseline(mesh: Mesh) -> list[str]:
    """Return where the baseline of users is."""
    return [one.address for one in mesh.services["users"].endpoints] if "users" in mesh.services else []


def pr_42(mesh: Mesh) -> list[str]:
    """Return where users@pr-42 is."""
    found = mesh.deployment("users", "pr-42")
    return [one.address for one in found.endpoints] if found else []


async def test_the_whole_mesh_comes_first_and_then_its_changes(api: ScriptedApi) -> None:
    """Pages and all; no event before everything was read."""
    api.page = 2
    for number in range(5):
        await api.put("services", service(f"service-{number}"))
    async with following(api) as listener:
        mesh = await listener.until(lambda mesh: len(mesh.services) == 6)
        assert (baseline(mesh), pr_42(mesh)) == (["10.0.0.1"], [])
        await api.put("pods", PR_42)
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])
        await api.delete("pods", "users-pr-42")
        await listener.until(lambda mesh: mesh.deployment("users", "pr-42") is None)
        await api.delete("services", "service-3")
        await listener.until(lambda mesh: "service-3" not in mesh.services)
        assert sum("/services?limit" in one for one in api.asked) == 3


async def test_a_connection_that_breaks_off_loses_nothing(api: ScriptedApi) -> None:
    """The watch goes on where it was, and nothing is listed again."""
    async with following(api) as listener:
        await listener.until(lambda mesh: baseline(mesh) == ["10.0.0.1"])
        for name in ("services", "pods", "endpointslices", "deployments"):
            await api.watched(name)
        lists = sum("limit=" in one for one in api.asked)
        api.is_silent = True
        await api.put("pods", PR_42)
        api.is_silent = False
        api.drop()
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])
        assert sum("limit=" in one for one in api.asked) == lists


async def test_a_version_that_is_gone_means_to_list_again(api: ScriptedApi) -> None:
    """What was removed meanwhile is removed; what stayed is not reported again; the mesh is never empty between."""
    async with following(api) as listener:
        await api.put("pods", PR_42)
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])
        api.is_silent = True
        await api.delete("pods", "users-pr-42")
        api.is_silent = False
        listener.events.clear()
        api.forget()
        api.drop()
        await listener.until(lambda mesh: mesh.deployment("users", "pr-42") is None)
        assert [type(event).__name__ for event in listener.events] == ["DeploymentRemoved"]


async def test_after_a_gap_everything_is_as_it_is_now(api: ScriptedApi) -> None:
    """Of each kind, what changed while nothing was heard: addresses, ports, owners; what came, and what went."""
    await api.put("services", service("search"))
    await api.put("pods", PR_42)
    await api.put("deployments", deployment("users--pr-42", "users", "pr-42", owner="ana"))
    async with following(api) as listener:
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"] and "search" in mesh.services)
        api.is_silent = True
        moved = pod("users-1", "10.0.0.2", app="users")
        more = pod("users-2", "10.0.0.3", app="users")
        await api.put("pods", moved)
        await api.put("pods", more)
        await api.put("pods", pod("users-pr-42", "10.0.0.10", detour_offloaded="pr-42", detour_service="users"))
        await api.put("endpointslices", endpoint_slice("users", endpoint(moved), endpoint(more), port=9090))
        await api.put("services", service("users", {"port": 80, "targetPort": 9090, "protocol": "TCP"}))
        await api.put("deployments", deployment("users--pr-42", "users", "pr-42", owner="bo"))
        await api.put("services", service("payments"))
        await api.delete("services", "search")
        api.is_silent = False
        api.forget()
        api.drop()
        mesh = await listener.until(
            lambda mesh: (
                mesh.services.keys() == {"users", "payments"}
                and baseline(mesh) == ["10.0.0.2", "10.0.0.3"]
                and pr_42(mesh) == ["10.0.0.10"]
                and mesh.deployment("users", "pr-42").owner == "bo"
            )
        )
        assert {one.port for one in mesh.services["users"].endpoints} == {9090}
        assert [one.port for one in mesh.deployment("users", "pr-42").endpoints] == [9090]
        lists = sum("limit=" in one for one in api.asked)
        await api.put("pods", pod("users-pr-42", "10.0.0.11", detour_offloaded="pr-42", detour_service="users"))
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.11"])
        assert sum("limit=" in one for one in api.asked) == lists


async def test_a_watch_goes_on_from_the_last_bookmark(api: ScriptedApi) -> None:
    """Though nothing changed there: the API has forgotten all that was before it."""
    async with following(api) as listener:
        await listener.until(lambda mesh: baseline(mesh) == ["10.0.0.1"])
        for plural in ("services", "endpointslices", "deployments"):
            await api.watched(plural)
        watch = await api.watched("pods")
        lists = sum("limit=" in one for one in api.asked)
        api.version = 500
        await watch.send(_bookmark(500))
        await watch.end()
        await api.was_asked("/pods?watch=true&allowWatchBookmarks=true&resourceVersion=500&")
        assert sum("limit=" in one for one in api.asked) == lists


async def test_a_watch_may_say_itself_that_its_version_is_gone(api: ScriptedApi) -> None:
    """As an event, in the midst of it."""
    async with following(api) as listener:
        watch = await api.watched("pods")
        api.is_silent = True
        await api.put("pods", PR_42)
        api.is_silent = False
        lists = len([one for one in api.asked if "/pods?limit" in one])
        await watch.send({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])
        assert len([one for one in api.asked if "/pods?limit" in one]) == lists + 1


@pytest.mark.parametrize(
    "content",
    [
        b'{"type":"MODIFIED","object":{"metadata":{"name":"us',
        b"<html>\n",
        b'{"type":"ADDED","object":{"metadata":7}}\n',
    ],
    ids=["half a line", "no JSON", "no pod"],
)
async def test_what_cannot_be_read_is_asked_for_again(api: ScriptedApi, content: bytes) -> None:
    """As if the connection had broken."""
    async with following(api) as listener:
        watch = await api.watched("pods")
        await listener.until(lambda mesh: baseline(mesh) == ["10.0.0.1"])
        api.is_silent = True
        await api.put("pods", PR_42)
        api.is_silent = False
        await watch.send_bytes(content)
        if not content.endswith(b"\n"):
            watch.writer.transport.abort()
        mesh = await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])
        assert baseline(mesh) == ["10.0.0.1"]


async def test_lines_may_come_in_pieces(api: ScriptedApi) -> None:
    """A line ends where it ends, not where a packet does."""
    async with following(api) as listener:
        watch = await api.watched("pods")
        event = {"type": "ADDED", "object": PR_42 | {"metadata": PR_42["metadata"] | {"resourceVersion": "900"}}}
        line = json.dumps(event).encode() + b"\n"
        for start in range(0, len(line), 50):
            await watch.send_bytes(line[start : start + 50])
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])


async def test_a_connection_that_hangs_open_is_given_up(api: ScriptedApi) -> None:
    """However long nothing comes (ten minutes or an hour): who is silent too long is asked again."""
    async with following(api, timing=Timing(0.2, 60, 0.01, 0.02, 0.001)) as listener:
        await api.watched("pods")
        api.is_silent = True
        await api.put("pods", PR_42)
        api.is_silent = False
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])
        api.answers_watches = False
        await api.was_asked("pods?watch", times=sum("pods?watch" in one for one in api.asked) + 2)
        api.answers_watches = True
        await api.delete("pods", "users-pr-42")
        await listener.until(lambda mesh: mesh.deployment("users", "pr-42") is None)


async def test_events_that_come_again_or_out_of_order_change_nothing(api: ScriptedApi) -> None:
    """Each change is reported once."""
    async with following(api) as listener:
        watch = await api.watched("pods")
        await api.put("pods", PR_42)
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])
        await api.delete("pods", "users-pr-42")
        await listener.until(lambda mesh: mesh.deployment("users", "pr-42") is None)
        listener.events.clear()
        for _, plural, event in (*api.history, *reversed(api.history)):
            if plural == "pods":
                await watch.send(event)
        await api.put("pods", pod("last", "10.0.0.8", detour_offloaded="last", detour_service="users"))
        await listener.until(lambda mesh: mesh.deployment("users", "last") is not None)
        assert len(listener.events) == 1


async def test_while_the_api_server_is_away_the_mesh_stays(api: ScriptedApi, caplog) -> None:
    """It is said, once, and over as soon as it is back; changes of that time follow."""
    caplog.set_level(logging.INFO)
    async with following(api) as listener:
        await listener.until(lambda mesh: baseline(mesh) == ["10.0.0.1"])
        listener.events.clear()
        await api.stop()
        await listener.until_problem("does not answer")
        await api.put("pods", PR_42)
        assert listener.events == []
        await api.start()
        await listener.until(lambda mesh: pr_42(mesh) == ["10.0.0.9"])
        for plural in ("services", "endpointslices", "deployments"):
            await api.watched(plural)
            await api.watches_of(plural)[-1].send(_bookmark(api.version))
        await listener.until_problem("")
    lines = [record.message for record in caplog.records if "does not answer" in record.message]
    assert 1 <= len(lines) <= 4


async def test_an_api_server_that_is_away_at_the_start_is_waited_for(api: ScriptedApi) -> None:
    """Rather than serving a mesh of nothing."""
    await api.stop()
    async with following(api) as listener:
        await listener.until_problem("does not answer")
        assert listener.mesh is None
        await api.start()
        await listener.until(lambda mesh: baseline(mesh) == ["10.0.0.1"])


async def test_a_namespace_that_may_not_be_read_is_reported_and_the_others_work(api: ScriptedApi) -> None:
    """Which right is missing, and who needs it."""
    message = 'services is forbidden: User "x" cannot list resource "services"'
    api.refusals["services"] = (403, message)
    async with following(api) as listener:
        await listener.until(lambda mesh: not mesh.services)
        (problem,) = [one for one in listener.discovery.problems if "services" in one]
        assert "may not read services of namespace shop: its ServiceAccount needs a Role" in problem
        assert message in problem
        del api.refusals["services"]
        await listener.until(lambda mesh: baseline(mesh) == ["10.0.0.1"])
        await listener.until_problem("")


@pytest.mark.parametrize(
    ("code", "message"), [(401, "does not accept the credentials"), (500, "cannot be read: broken")]
)
async def test_other_refusals_are_reported(api: ScriptedApi, code: int, message: str) -> None:
    """In words that say what to do."""
    api.refusals["pods"] = (code, "broken")
    async with following(api) as listener:
        await listener.until_problem(message)


async def test_a_namespace_without_services_is_pointed_out(api: ScriptedApi) -> None:
    """It may be mistyped: Kubernetes lists nothing there, without an error."""
    async with following(api, "shop", "shpo") as listener:
        await listener.until(lambda mesh: baseline(mesh) == ["10.0.0.1"])
        assert listener.discovery.problems == ("namespace shpo has no Service: is that its name?",)


async def test_all_namespaces_may_be_read_at_once(api: ScriptedApi) -> None:
    """With one list and one watch a kind."""
    there = pod("users-1", "10.1.0.1", namespace="pay", app="users")
    await api.put("services", service(namespace="pay"))
    await api.put("pods", there)
    await api.put("endpointslices", endpoint_slice("users", endpoint(there), namespace="pay"))
    connection = Api(api.config)
    listener = Listener(Discovery(connection, (), Naming(home="shop"), QUICK))
    task = asyncio.create_task(listener.discovery.follow(listener.take))
    mesh = await listener.until(lambda mesh: len(mesh.services) == 2)
    assert [one.address for one in mesh.services["users.pay"].endpoints] == ["10.1.0.1"]
    assert not any("namespaces" in one for one in api.asked)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await connection.close()


def _bookmark(version: int) -> dict:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}
