"""Leading, on an API server that can be told to refuse, to hang and to forget.

What a real one does is tested in tests/kubernetes.
"""

import asyncio
import json
import logging

import httpx2
import pytest
from lightkube import KubeConfig
from lightkube.config.models import Cluster, User

from detour.kubernetes.api import Api
from detour.leadership import LeaseName, Timing, lead
from detour.leadership.candidate import Record
from detour.leadership.lease import moment

NAME = LeaseName("detour", "detour-server")
QUICK = Timing(duration=1, deadline=0.4, period=0.05)
DEADLINE = 10


class ApiServer(httpx2.AsyncBaseTransport):
    """One Lease, with compare and swap."""

    def __init__(self) -> None:
        self.lease: dict | None = None
        self.version = 0
        self.failure: int | None = None
        self.is_hanging = False
        self.writes: list[dict] = []
        self.looks = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.is_hanging:
            await asyncio.get_running_loop().create_future()
        if self.failure:
            return self._answer(request, self.failure, {"kind": "Status", "message": "out of order"})
        status, body = self._served(request.method, json.loads(request.content or b"null"))
        return self._answer(request, status, body)

    def _served(self, method: str, sent: dict | None) -> tuple[int, dict]:
        if method != "POST" and self.lease is None:
            return 404, {"kind": "Status", "message": "not found"}
        if method == "GET":
            self.looks += 1
            return 200, self.lease
        is_stale = method == "PATCH" and sent["metadata"]["resourceVersion"] != str(self.version)
        if is_stale or (method == "POST" and self.lease is not None):
            return 409, {"kind": "Status", "message": "conflict"}
        self.put(sent["spec"])
        self.writes.append(sent["spec"])
        return 200, self.lease

    def put(self, spec: dict) -> None:
        self.version += 1
        self.lease = {"metadata": {"name": NAME.name, "resourceVersion": str(self.version)}, "spec": spec}

    @property
    def holder(self) -> str:
        return self.lease["spec"]["holderIdentity"] if self.lease else ""

    @staticmethod
    def _answer(request: httpx2.Request, status: int, body: dict) -> httpx2.Response:
        headers = {"content-type": "application/json"}
        return httpx2.Response(status, headers=headers, content=json.dumps(body).encode(), request=request)


@pytest.fixture
def server() -> ApiServer:
    """Have a Lease that nobody holds."""
    server = ApiServer()
    server.put({"holderIdentity": "", "leaseTransitions": 4, "renewTime": "2026-01-01T00:00:00.000001Z"})
    return server


@pytest.fixture
def api(server) -> Api:
    """Connect to it."""
    user = User(token="none")
    config = KubeConfig.from_one(cluster=Cluster(server="http://127.0.0.1:1"), user=user)
    return Api(config.get(), transport=server)


class Work:
    """What a leader does, and whether it is at it."""

    def __init__(self) -> None:
        self.beginnings = 0
        self.is_on = False

    async def __call__(self) -> None:
        self.beginnings += 1
        self.is_on = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.is_on = False


async def until(condition) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


async def ended(task: asyncio.Task) -> None:
    """Cancel and wait."""
    task.cancel()
    await asyncio.wait({task})


def leading(api, *runs, identity: str = "pod-1") -> asyncio.Task:
    """Start a candidate."""
    return asyncio.create_task(lead(api, NAME, identity, *runs, timing=QUICK))


async def test_a_free_lease_is_taken_renewed_and_given_back(server, api):
    """As client-go writes it."""
    work = Work()
    task = leading(api, work)
    await until(lambda: work.is_on and len(server.writes) > 2)
    first, second = server.writes[:2]
    assert first["holderIdentity"].startswith("pod-1_")
    assert (first["leaseTransitions"], first["leaseDurationSeconds"]) == (5, 1)
    assert second["acquireTime"] == first["acquireTime"]
    assert second["renewTime"] > first["renewTime"]
    await ended(task)
    assert not work.is_on
    assert server.holder == ""
    assert server.lease["spec"]["leaseTransitions"] == 5


@pytest.mark.parametrize("trouble", [{"failure": 500}, {"is_hanging": True}])
async def test_work_ends_with_the_lease_and_begins_again_after(server, api, caplog, trouble):
    """While the API server is away nobody can say who leads, so this one does not."""
    work = Work()
    task = leading(api, work)
    await until(lambda: work.is_on)
    for name, value in trouble.items():
        setattr(server, name, value)
    await until(lambda: not work.is_on)
    assert work.beginnings == 1
    server.failure, server.is_hanging = None, False
    await until(lambda: work.is_on)
    assert work.beginnings == 2
    await ended(task)
    told = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert told[0].startswith("Lease detour-server of namespace detour cannot be read or written: ")


async def test_who_finds_another_in_its_place_stops(server, api):
    """Somebody has edited the Lease by hand; its holder is waited for."""
    work = Work()
    task = leading(api, work)
    await until(lambda: work.is_on)
    server.put({"holderIdentity": "you", "leaseDurationSeconds": 1})
    await until(lambda: not work.is_on)
    assert server.holder == "you"
    await until(lambda: work.is_on)
    await ended(task)


async def test_the_second_takes_over_when_the_first_gives_back(server, api):
    """At its next look."""
    first, second = Work(), Work()
    one = leading(api, first)
    await until(lambda: first.is_on)
    two = leading(api, second, identity="pod-2")
    await ended(one)
    await until(lambda: second.is_on)
    assert server.holder.startswith("pod-2_")
    await ended(two)


async def test_all_that_is_to_be_done_ends_together(server, api):
    """An error in one ends the others, and passes."""
    work, go = Work(), asyncio.Event()

    async def breaks() -> None:
        await go.wait()
        raise OSError("disk full")

    task = leading(api, work, breaks)
    await until(lambda: work.is_on)
    go.set()
    with pytest.raises(ExceptionGroup) as caught:
        await task
    assert caught.group_contains(OSError, match="disk full")
    assert not work.is_on
    assert server.holder == ""


async def test_it_returns_when_all_is_done(server, api):
    """And gives the Lease back."""

    async def brief() -> None:
        await asyncio.sleep(0)

    async with asyncio.timeout(DEADLINE):
        await leading(api, brief, brief)
    assert server.holder == ""


async def test_a_process_that_was_frozen_takes_no_further_step(server, api, monkeypatch):
    """The clock has gone on; what the work waited for is there before any timer."""
    from detour.leadership import contest as module

    go, steps, shift = asyncio.Event(), [], 0.0
    real = module._now
    monkeypatch.setattr(module, "_now", lambda: real() + shift)

    async def work() -> None:
        steps.append("began")
        await go.wait()
        steps.append("went on")

    task = leading(api, work)
    await until(lambda: steps)
    shift = 20.0
    server.put({"holderIdentity": "you", "leaseDurationSeconds": 60})
    go.set()
    looks = server.looks
    await until(lambda: server.looks > looks)
    assert steps == ["began"]
    await ended(task)
    assert server.holder == "you"


def test_a_moment_always_has_six_digits():
    """The API server refuses a MicroTime without a fraction."""
    from datetime import UTC, datetime

    assert moment(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000001Z"
    assert moment(datetime(2026, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)) == "2026-01-01T00:00:00.500000Z"
    assert Record().holder == ""
