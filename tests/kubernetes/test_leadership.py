"""One leader, on a Lease that a real API server keeps."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lightkube import AsyncClient
from lightkube.resources.coordination_v1 import Lease

from detour.kubernetes.api import Api
from detour.kubernetes.config import cluster_config
from detour.leadership import LeaseName, Timing, lead
from kubernetes.cluster import Cluster

QUICK = Timing(duration=2, deadline=1.2, period=0.1)
DEADLINE = 30

CANDIDATE = """
import asyncio, sys, time
from detour.kubernetes.api import Api
from detour.kubernetes.config import cluster_config
from detour.leadership import LeaseName, Timing, lead

_, kubeconfig, namespace, identity, log = sys.argv

def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)

async def work():
    with open(log, "a", buffering=1) as file:
        while True:
            file.write(f"{now()} {identity}\\n")
            await asyncio.sleep(0.01)

async def main():
    api = Api(cluster_config(kubeconfig))
    name = LeaseName(namespace, "detour")
    await lead(api, name, identity, work, timing=Timing(duration=2, deadline=1.2, period=0.1))

asyncio.run(main())
"""


@asynccontextmanager
async def candidate(cluster: Cluster, namespace: str, identity: str, log: Path) -> AsyncIterator[int]:
    """Run a candidate as a process; give its id."""
    command = [sys.executable, "-c", CANDIDATE, str(cluster.kubeconfig), namespace, identity, str(log)]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        yield process.pid
    finally:
        process.kill()
        await process.wait()


def steps(log: Path) -> list[tuple[float, str]]:
    """Read when who worked; an incomplete line is ignored."""
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    return sorted((float(line.split()[0]), line.split()[1]) for line in lines)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.02)


def works(log: Path, identity: str) -> Callable[[], bool]:
    """Say whether it was this one who worked last."""
    return lambda: steps(log)[-1:] != [] and steps(log)[-1][1] == identity


async def test_a_frozen_leader_takes_no_step_after_another_has_begun(cluster, namespace, tmp_path):
    """SIGSTOP, until the other leads, then SIGCONT: the first finds its Lease gone before it does anything."""
    log = tmp_path / "steps"
    async with candidate(cluster, namespace, "a", log) as first:
        await until(works(log, "a"))
        async with candidate(cluster, namespace, "b", log):
            os.kill(first, signal.SIGSTOP)
            await until(works(log, "b"))
            begun = len(steps(log))
            os.kill(first, signal.SIGCONT)
            await until(lambda: len(steps(log)) > begun + 100)
    order = [identity for _, identity in steps(log)]
    assert order == sorted(order)


async def test_a_killed_leader_is_followed_and_one_that_ends_gives_back(cluster, namespace, tmp_path):
    """After kill -9 the other one waits for the Lease to end."""
    log = tmp_path / "steps"
    async with candidate(cluster, namespace, "b", log):
        await until(works(log, "b"))
        async with candidate(cluster, namespace, "c", log):
            pass
    killed = steps(log)[-1][0]
    async with candidate(cluster, namespace, "d", log):
        await until(works(log, "d"))
    begun = next(at for at, identity in steps(log) if identity == "d")
    assert begun - killed > QUICK.deadline


class Work:
    """What a leader does, and whether it is at it."""

    def __init__(self) -> None:
        self.is_on = False

    async def __call__(self) -> None:
        self.is_on = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.is_on = False


@asynccontextmanager
async def leading(api: Api, namespace: str, work: Work) -> AsyncIterator[None]:
    """Run a candidate in this process."""
    task = asyncio.create_task(lead(api, LeaseName(namespace, "detour"), "pod", work, timing=QUICK))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[AsyncClient]:
    """Connect as the admin."""
    client = cluster.async_client()
    yield client
    await client.close()


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    """Connect as a candidate does."""
    # Shorter than what a leader waits for: a call that is cancelled while it connects leaves a socket behind.
    api = Api(cluster_config(str(cluster.kubeconfig)), QUICK.deadline / 3)
    yield api
    await api.close()


async def test_a_lease_given_back_is_taken_at_once(api, client, namespace):
    """And labels on it stay."""
    first, second = Work(), Work()
    async with leading(api, namespace, first):
        await until(lambda: first.is_on)
        labels = {"metadata": {"labels": {"team": "blue"}}}
        await client.patch(Lease, "detour", labels, namespace=namespace)
    found = await client.get(Lease, "detour", namespace=namespace)
    assert (found.spec.holderIdentity, found.spec.leaseTransitions) == ("", 0)
    async with leading(api, namespace, second):
        await until(lambda: second.is_on)
        found = await client.get(Lease, "detour", namespace=namespace)
        assert found.spec.leaseTransitions == 1
        assert found.metadata.labels == {"team": "blue"}


async def test_without_the_api_server_no_candidate_leads(api, cluster, namespace):
    """The work ends by its deadline, and goes on when the API server is back."""
    work = Work()
    async with leading(api, namespace, work):
        await until(lambda: work.is_on)
        cluster.stop_api()
        try:
            await until(lambda: not work.is_on)
        finally:
            # Not in a thread: the API server would end with it.
            cluster.start_api()
        await until(lambda: work.is_on)


async def test_a_deleted_lease_is_made_again_by_its_leader(api, client, namespace):
    """No other candidate leads in between, and the work goes on."""
    first, second = Work(), Work()
    async with leading(api, namespace, first):
        await until(lambda: first.is_on)
        async with leading(api, namespace, second):
            for _ in range(5):
                before = await client.get(Lease, "detour", namespace=namespace)
                await client.delete(Lease, "detour", namespace=namespace)
                await until_made_again(client, namespace, before.metadata.uid)
                assert not (first.is_on and second.is_on)


async def until_made_again(client: AsyncClient, namespace: str, uid: str) -> None:
    """Wait for another Lease of the same name."""
    async with asyncio.timeout(DEADLINE):
        while all([one.metadata.uid == uid async for one in client.list(Lease, namespace=namespace)]):
            await asyncio.sleep(0.02)
