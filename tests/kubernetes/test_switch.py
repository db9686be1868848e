"""The kill switch of several servers, on a Lease that a real API server keeps."""

import asyncio
from collections.abc import Callable

import pytest
from lightkube.resources.coordination_v1 import Lease

from detour.database import StorageError
from detour.leadership import LeaseName, Timing, lead
from detour.server.cluster_switch import ClusterSwitch

QUICK = Timing(duration=2, deadline=1.2, period=0.1)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def test_all_servers_follow_one_switch(api, cluster, namespace):
    """Whichever was switched, and also one that starts later; leaders renew the Lease, and follow each other."""
    name, leading = LeaseName(namespace, "detour"), []

    async def work() -> None:
        leading.append(True)
        await asyncio.Event().wait()

    client, tasks = cluster.async_client(), []
    try:
        first, second = (ClusterSwitch(api, name) for _ in range(2))
        with pytest.raises(StorageError, match="cannot be written, so the kill switch did not change"):
            await first.switch(is_off=True, reason="too early", by="anna")
        changes: list[ClusterSwitch] = []
        tasks.append(asyncio.create_task(first.follow(lambda: changes.append(first))))
        tasks.append(asyncio.create_task(second.follow(lambda: changes.append(second))))
        leader = asyncio.create_task(lead(api, name, "a", work, timing=QUICK))
        tasks.append(leader)
        await until(lambda: leading and first.is_known.is_set() and second.is_known.is_set())
        await first.switch(is_off=True, reason="incident 12", by="anna")
        await until(lambda: second.state.is_off)
        assert (second.state, changes) == (first.state, [second])
        leader.cancel()
        tasks.append(asyncio.create_task(lead(api, name, "b", work, timing=QUICK)))
        await until(lambda: len(leading) == 2)
        renewed = (await client.get(Lease, name.name, namespace=namespace)).spec.renewTime
        while (await client.get(Lease, name.name, namespace=namespace)).spec.renewTime == renewed:
            await asyncio.sleep(0.05)
        third = ClusterSwitch(api, name)
        tasks.append(asyncio.create_task(third.follow(lambda: None)))
        await third.is_known.wait()
        assert third.state == first.state
        await third.switch(is_off=False, reason="over", by="bo")
        await until(lambda: not (first.state.is_off or second.state.is_off))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
