"""A rolling restart at an exact rate, by the tests' scripted API server, in a process of its own.

`python -m bench.kubernetes.scripted FILE SERVICES PER_SECOND RESULT`: FILE holds examples of objects as the real
API server gave them. It serves as many Services with ten pods each, says `listening PORT`, and begins when a line
comes on standard input. For each pod it sends the events of a real API server during a rollout, seven of them: the
pod is to end, so its endpoint is not ready; its successor, which then is Ready, and has an endpoint; the pod and
its endpoint are gone.
"""

import asyncio
import gc
import json
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.from_tests import from_tests
from bench.kubernetes.cluster import NAMESPACE
from bench.kubernetes.objects import Json
from bench.kubernetes.population import PODS_EACH, Population, Restart

_NOT_READY: Final = {"ready": False, "serving": True, "terminating": True}
_READY: Final = {"ready": True, "serving": True, "terminating": False}


class Scripted:
    """The objects, and the events about them.

    Args:
        api: The tests' `ScriptedApi`, which serves lists and watches.
        examples: A pod, a Service and an EndpointSlice.
        population: What there is to be.
    """

    def __init__(self, api: Any, examples: dict[str, Json], population: Population) -> None:
        self._api = api
        self._examples = examples
        self._population = population
        self._pods: dict[tuple[str, int], Json] = {}
        self._slices: dict[str, Json] = {}

    async def load(self) -> None:
        """Make it all."""
        for name in self._population.services:
            await self._put("services", self._service(name))
            for number in range(PODS_EACH):
                self._pods[name, number] = await self._make((name, number))
            made = deepcopy(self._examples["endpointslices"])
            made["metadata"] |= {"name": f"{name}-x7k2p", "uid": f"uid-{name}"}
            made["metadata"]["labels"] |= {"kubernetes.io/service-name": name}
            made["endpoints"] = [self._endpoint(self._pods[name, number]) for number in range(PODS_EACH)]
            self._slices[name] = await self._put("endpointslices", made)

    async def replace(self, key: tuple[str, int], done: Restart) -> None:
        """Send the events of one pod's replacement."""
        old, endpoints = self._pods[key], self._slices[key[0]]
        old["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}
        await self._put("pods", old)
        leaving = next(one for one in endpoints["endpoints"] if one["targetRef"]["name"] == old["metadata"]["name"])
        leaving["conditions"] = _NOT_READY
        await self._put("endpointslices", endpoints)
        done.removed[old["status"]["podIP"]] = time.monotonic()
        new = self._pods[key] = await self._make(key)
        endpoints["endpoints"].append(self._endpoint(new))
        await self._put("endpointslices", endpoints)
        done.ready[new["status"]["podIP"]] = time.monotonic()
        await self._delete("pods", old)
        endpoints["endpoints"].remove(leaving)
        await self._put("endpointslices", endpoints)

    async def _make(self, key: tuple[str, int]) -> Json:
        """Make a pod as it is before it has an address, then Ready."""
        name, address = self._population.successor(key)
        self._population.pods[key] = name, address
        made = deepcopy(self._examples["pods"])
        made["metadata"] |= {"name": name, "uid": f"uid-{name}"}
        made["metadata"]["labels"] |= {"app": key[0]}
        await self._put("pods", {**made, "status": {"phase": "Pending"}})
        made["status"] |= {"podIP": address, "podIPs": [{"ip": address}]}
        await self._put("pods", made)
        return made

    async def _put(self, plural: str, one: Json) -> Json:
        """Create or change an object, as `ScriptedApi.put` does, but for less: the machine is shared."""
        key = (plural, NAMESPACE, one["metadata"]["name"])
        await self._send(plural, "MODIFIED" if key in self._api.objects else "ADDED", one)
        self._api.objects[key] = one
        return one

    async def _delete(self, plural: str, one: Json) -> None:
        del self._api.objects[plural, NAMESPACE, one["metadata"]["name"]]
        await self._send(plural, "DELETED", one)

    async def _send(self, plural: str, kind: str, one: Json) -> None:
        self._api.version += 1
        one["metadata"]["resourceVersion"] = str(self._api.version)
        line = msgspec.json.encode({"type": kind, "object": one}) + b"\n"
        for watch in self._api.watches_of(plural):
            await watch.send_bytes(line)

    def _service(self, name: str) -> Json:
        made = deepcopy(self._examples["services"])
        made["metadata"] |= {"name": name, "uid": f"uid-{name}"}
        made["spec"]["selector"] = {"app": name}
        return made

    def _endpoint(self, pod: Json) -> Json:
        reference = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
        return {
            "addresses": [pod["status"]["podIP"]],
            "conditions": dict(_READY),
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", **reference},
        }


async def _run(examples: dict[str, Json], services: int, per_second: float, result: Path) -> None:
    population = Population(services)
    async with from_tests("scripted_api").scripted_api() as api:
        scripted = Scripted(api, examples, population)
        await scripted.load()
        # Else it stops every some seconds to look through all of these objects.
        gc.disable()
        print(f"listening {api.port}", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        done = Restart()
        for index, key in enumerate(population.in_turn()):
            await asyncio.sleep(done.began + index / per_second - time.monotonic())
            await scripted.replace(key, done)
        _write(result, done, population)
        print("done", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


def _write(result: Path, done: Restart, population: Population) -> None:
    endpoints = {name: sorted(found) for name, found in population.endpoints.items()}
    sent = {"began": done.began, "ready": done.ready, "removed": done.removed, "endpoints": endpoints}
    result.write_text(json.dumps(sent), encoding="utf-8")


if __name__ == "__main__":
    shown = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    asyncio.run(_run(shown, int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])))
