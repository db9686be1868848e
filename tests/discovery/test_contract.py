"""The contract of a mesh's sources, on the mesh file and on Kubernetes' API."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from detour.discovery.kubernetes import Discovery, Timing
from detour.discovery.mesh_file import Changed, Rejected, watch
from detour.kubernetes.api import Api
from detour.mesh import Mesh, Naming, OffloadedDeployment, Service
from discovery.contract import Contract, Source
from discovery.kubernetes_source import objects_of
from scripted_api import ScriptedApi, scripted_api


class MeshFileSource(Source):
    """A mesh file that is watched."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._rejected = asyncio.Event()

    async def follow(self) -> None:
        """Follow the file."""
        async for news in watch(self._path, Mesh()):
            if isinstance(news, Rejected):
                self._rejected.set()
            else:
                assert isinstance(news, Changed)
                self.take(news.events)

    async def has(self, *values: Service | OffloadedDeployment) -> None:
        services = {one.name: _keys(one) for one in values if isinstance(one, Service)}
        for one in values:
            if isinstance(one, OffloadedDeployment):
                keys = {"endpoints": [str(two) for two in one.endpoints], "owner": one.owner}
                deployments = services[one.service].setdefault("deployments", {})
                deployments[one.name] = {**keys, "expires": one.expires.isoformat()}
        self._path.write_text(json.dumps({"services": services}))

    async def breaks(self) -> None:
        self._path.write_text("services: [")

    async def is_mended(self) -> None:
        self._path.write_text("services: {}")

    async def is_broken(self) -> None:
        async with asyncio.timeout(20):
            await self._rejected.wait()


class KubernetesSource(Source):
    """A namespace of an API server that is watched."""

    def __init__(self, api: ScriptedApi) -> None:
        super().__init__()
        self._api = api
        timing = Timing(retry=0.01, retry_max=0.02, quiet=0.001)
        self.connection = Api(api.config)
        self.discovery = Discovery(self.connection, ["shop"], Naming(home="shop"), timing)

    async def has(self, *values: Service | OffloadedDeployment) -> None:
        wanted = objects_of(*values)
        for plural, _, name in list(self._api.objects):
            if (plural, name) not in wanted:
                await self._api.delete(plural, name)
        for (plural, name), one in wanted.items():
            before = self._api.objects.get((plural, "shop", name))
            if before is None or _without_version(before) != _without_version(one):
                await self._api.put(plural, one)

    async def breaks(self) -> None:
        await self._api.stop()

    async def is_mended(self) -> None:
        await self._api.start()

    async def is_broken(self) -> None:
        async with asyncio.timeout(20):
            while not any("does not answer" in problem for problem in self.discovery.problems):
                await asyncio.sleep(0.005)


class TestMeshFile(Contract):
    """The contract on a mesh file."""

    @pytest.fixture
    async def source(self, tmp_path: Path) -> AsyncIterator[Source]:
        """Follow a file that names nothing yet."""
        path = tmp_path / "mesh.yaml"
        path.write_text("services: {}")
        made = MeshFileSource(path)
        task = asyncio.create_task(made.follow())
        yield made
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class TestKubernetes(Contract):
    """The contract on Kubernetes' API."""

    @pytest.fixture
    async def source(self) -> AsyncIterator[Source]:
        """Follow a namespace in which there is nothing yet."""
        async with scripted_api() as api:
            made = KubernetesSource(api)
            task = asyncio.create_task(made.discovery.follow(made.take))
            yield made
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await made.connection.close()


def _keys(one: Service) -> dict:
    return {"endpoints": [str(endpoint) for endpoint in one.endpoints], "protocol": one.protocol}


def _without_version(one: dict) -> dict:
    return {**one, "metadata": {**one["metadata"], "resourceVersion": ""}}
