"""The client of the API against a real server; both clients behave alike."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from cli.running import Server, serving
from client.scripted_server import answering
from detour import client as exported
from detour.client import (
    CONNECTED,
    AsyncClient,
    CheckIn,
    Client,
    ConflictError,
    DeploymentIn,
    Event,
    ExtensionIn,
    GoneError,
    InvalidRequestError,
    NotFoundError,
    NotSignedInError,
    OverrideTokenIn,
    PreconditionFailedError,
    ProblemError,
    Role,
    ScenarioIn,
    ScenarioState,
    SwitchIn,
    SwitchState,
    TokenIn,
    UnexpectedAnswerError,
    UnreachableError,
)
from detour.client.retrying import Retries
from ports import free_port

MESH = """\
services:
  users:
    endpoints: ["127.0.0.1:9001"]
    deployments:
      filed: {endpoints: ["127.0.0.1:9002"], owner: ops}
  payments: {endpoints: ["127.0.0.1:9003"]}
edge:
  hosts: {"*": users}
  url: https://staging.example.test
"""


def mesh_file(folder: Path) -> Path:
    """Write a mesh file in a folder of its own."""
    path = folder / "mesh" / "mesh.yaml"
    path.parent.mkdir()
    path.write_text(MESH)
    return path


class Waiting:
    """The asynchronous client with the blocking one's interface: each call waits for its result."""

    def __init__(self, server: str, **settings: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = AsyncClient(server, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            found = method(*arguments, **named)
            return self._iterated(found) if isinstance(found, AsyncIterator) else self._result(found)

        return call

    def _result(self, found: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await found

        return self._loop.run_until_complete(wait())

    def _iterated(self, found: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(found, None)

        while (one := self._loop.run_until_complete(following())) is not None:
            yield one


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server."""
    with serving(mesh_file(tmp_path_factory.mktemp("client"))) as running:
        yield running


@pytest.fixture(params=[Client, Waiting], ids=["blocking", "async"])
def connect(request: pytest.FixtureRequest) -> Any:
    """Return a function that connects a client of either kind."""
    return request.param


@pytest.fixture
def client(connect: Any, server: Server) -> Iterator[Client]:
    """Return a client of either kind."""
    with connect(server.url, user="ana") as connected:
        yield connected


def snake(operation_id: str) -> str:
    """Return an operation's id in snake case, like methods."""
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in operation_id)


def test_every_operation_is_a_method(server):
    """Of both clients, with a docstring and the same parameters."""
    described = httpx.get(f"{server.url}/openapi.json", trust_env=False).json()
    operations = {snake(one["operationId"]) for path in described["paths"].values() for one in path.values()}
    assert len(operations) > 30
    for kind in (Client, AsyncClient):
        public = {name for name in dir(kind) if not name.startswith("_")}
        assert public - {"send", "items", "close", "from_environment"} == operations
    for name in operations:
        of_both = [getattr(kind, name) for kind in (Client, AsyncClient)]
        assert len({str(inspect.signature(one).replace(return_annotation=None)) for one in of_both}) == 1, name
        assert len({one.__doc__ for one in of_both}) == 1, name


def test_every_exported_name_exists():
    """Names are loaded on first use."""
    assert [name for name in exported.__all__ if not hasattr(exported, name)] == []


def test_deployments(client):
    """Are registered, listed, extended and removed."""
    body = DeploymentIn(service="users", name="pr-42", endpoints=["127.0.0.1:9102"], owner="ana")
    made = client.register_deployment(body)
    assert (made.endpoints, made.owner, made.source) == (["127.0.0.1:9102"], "ana", "registered")
    assert [one.name for one in client.list_deployments()] == ["filed", "pr-42"]
    assert {one.name: one.deployments for one in client.list_services()} == {
        "payments": [],
        "users": ["filed", "pr-42"],
    }
    extended = client.extend_deployment("users", "pr-42", ExtensionIn(ttl="7d"))
    assert extended.expires > made.expires
    assert client.get_deployment("users", "pr-42").progress is None
    assert client.remove_deployment("users", "pr-42") is None
    with pytest.raises(NotFoundError, match="deployment users@pr-42 does not exist"):
        client.remove_deployment("users", "pr-42")


def test_scenarios(client):
    """Are saved with the version that was read, and listed in pages."""
    first = client.save_scenario("checkout", ScenarioIn(overrides={"route.users": "filed"}))
    assert (first.version, first.state, first.owner) == (first.version, ScenarioState.LIVE, "ana")
    second = client.save_scenario("checkout", ScenarioIn(overrides={"log.users": "debug"}), version=first.version)
    assert second.version == first.version + 1
    with pytest.raises(PreconditionFailedError, match="read that version") as outdated:
        client.save_scenario("checkout", ScenarioIn(overrides={"log.users": "info"}), version=first.version)
    assert (outdated.value.status, outdated.value.problem.title) == (412, "Precondition Failed")
    assert client.get_scenario("checkout") == second
    assert client.get_scenario_version("checkout", first.version) == first
    assert list(client.list_scenario_versions("checkout"))[:2] == [second, first]
    assert client.resolve_scenario("checkout").value == "override.log.users=debug"
    assert set(client.get_scenario_qr("checkout")) == set("█▀▄ \n")
    assert list(client.list_scenarios()) == [second]
    client.remove_scenario("checkout", second.version)
    assert list(client.list_scenarios()) == []
    assert [one.state for one in client.list_scenarios(state="all", owner="ana")] == [ScenarioState.REMOVED]
    with pytest.raises(GoneError, match="was removed by ana"):
        client.resolve_scenario("checkout")


def test_lists_are_fetched_page_by_page(client):
    """Each page when the iteration reaches it, to the end of the list."""
    for number in range(3):
        client.register_deployment(DeploymentIn(service="payments", name=f"page-{number}", endpoints=[]))
    listing = exported_operations().list_deployments()
    listing = type(listing)(type(listing.first)("GET", listing.first.path, listing.first.read, {"limit": 1}))
    found = [one.name for one in client.items(listing)]
    assert found == ["page-0", "page-1", "page-2", "filed"]
    for number in range(3):
        client.remove_deployment("payments", f"page-{number}")


def exported_operations() -> Any:
    """Return the operations, as their clients use them."""
    from detour.client import operations

    return operations


def test_all_other_operations_without_a_cluster(client):
    """Return models, with enumerations and timestamps."""
    assert client.get_health().status == client.get_readiness().status == "ok"
    assert client.get_status().services == 2
    assert "detour_services 2.0" in client.get_metrics()
    (mistake,) = client.check_overrides(CheckIn(overrides={"route.users": "file"})).mistakes
    assert mistake.suggestion == "users=filed"
    assert client.issue_override_token(OverrideTokenIn()).header == "x-detour-token"
    assert client.set_switch(SwitchIn(state=SwitchState.OFF, reason="test")).state is SwitchState.OFF
    assert client.set_switch(SwitchIn(state=SwitchState.ON)).by == "ana"
    assert client.get_switch().state is SwitchState.ON
    assert list(client.list_calls()) == []
    assert next(iter(client.list_changes())).who == "ana"
    assert client.get_identity().role is Role.ADMIN
    assert client.get_sign_in().is_needed is False


def test_problems_raise_the_exception_of_their_status(client):
    """Each has the problem document and its detail."""
    with pytest.raises(ConflictError, match="the mesh file") as conflict:
        client.remove_deployment("users", "filed")
    assert isinstance(conflict.value, ProblemError)
    assert conflict.value.problem.status == conflict.value.status == 409
    with pytest.raises(InvalidRequestError, match="ttl: "):
        client.register_deployment(
            DeploymentIn.model_construct(
                {"service", "name", "endpoints", "ttl"}, service="users", name="a", endpoints=[], ttl="soon"
            )
        )
    with pytest.raises(NotFoundError, match=r"deployment users@\.\. does not exist"):
        client.get_deployment("users", "..")
    with pytest.raises(ConflictError, match="no Kubernetes cluster"):
        client.undo_copy("users", "filed")
    with pytest.raises(ConflictError, match="no Kubernetes cluster"):
        list(client.get_deployment_log("users", "filed"))


def test_tokens(connect, client, server, monkeypatch):
    """A token authenticates the caller; an invalid one is refused."""
    made = client.create_token(TokenIn(name="ci", role=Role.VIEWER))
    with connect(server.url, token=made.token) as viewer:
        assert (viewer.get_identity().via, viewer.get_identity().role) == ("token", Role.VIEWER)
    monkeypatch.setenv("DETOUR_TOKEN", made.token)
    monkeypatch.setenv("DETOUR_SERVER", server.url)
    with Client.from_environment() as viewer:
        assert viewer.get_identity().role is Role.VIEWER
    assert made.id in {one.id for one in client.list_tokens()}
    client.remove_token(made.id)
    with connect(server.url, token=lambda: made.token) as stranger, pytest.raises(NotSignedInError, match="token"):
        stranger.get_identity()
    with connect(server.url, token=made.token) as stranger:
        assert stranger.get_sign_in().is_needed is False  # which takes no token


def test_an_unreachable_server(connect):
    """The error names the address; an invalid URL is refused at once."""
    with connect("http://127.0.0.1:1", retries=Retries(most=1, first_seconds=0)) as nowhere:
        with pytest.raises(
            UnreachableError, match=r"no Detour server answers at http://127\.0\.0\.1:1 \("
        ) as refused:
            nowhere.get_status()
        assert "Errno" not in str(refused.value)
        with pytest.raises(UnreachableError):
            next(nowhere.stream_events())
    for address in ("localhost:1", "ftp://x", "", "http://", "http://[::1"):
        with pytest.raises(ValueError, match="is not a URL such as http"):
            AsyncClient(address)


def test_live_events(client):
    """Each connection begins with an event; programs choose the kinds and the duration."""
    events = client.stream_events("deployment", "scenario")
    assert next(events) == Event(CONNECTED)
    client.register_deployment(DeploymentIn(service="users", name="live", endpoints=[]))
    client.remove_deployment("users", "live")
    assert next(events) == Event("deployment", "users@live")
    assert list(client.stream_events("key", seconds=1)) == [Event(CONNECTED)]


def test_live_events_continue_after_a_restart(connect, tmp_path):
    """The client reconnects, and says so: earlier data may be outdated."""
    port = free_port()
    mesh = mesh_file(tmp_path)
    found: list[Event] = []
    first, second = threading.Event(), threading.Event()

    def listen() -> None:
        with connect(f"http://127.0.0.1:{port}") as client:
            for event in client.stream_events("deployment"):
                found.append(event)
                (second if first.is_set() else first).set()
                if event.kind == "deployment":
                    return

    with serving(mesh, "--api", f"127.0.0.1:{port}"):
        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        assert first.wait(60)
    with serving(mesh, "--api", f"127.0.0.1:{port}") as restarted:
        assert second.wait(60)
        with Client(restarted.url) as other:
            other.register_deployment(DeploymentIn(service="users", name="again", endpoints=[]))
        listening.join(60)
    assert found == [Event(CONNECTED), Event(CONNECTED), Event("deployment", "users@again")]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html>", "text/html"), (b"{", "application/json"), (b'{"status": 1}', "application/json")],
)
def test_a_server_that_is_not_detour(connect, body, kind):
    """The error says so, whatever the response."""
    refused = pytest.raises(UnexpectedAnswerError, match="is that a Detour server")
    with answering([(200, {"content-type": kind}, body)]) as (url, _), connect(url) as client, refused:
        client.get_health()
