"""The contract of a mesh's sources, on a real API server whose controllers make the EndpointSlices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from lightkube import ApiError, AsyncClient
from lightkube.codecs import from_dict
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Node, Pod, PodStatus, Service
from lightkube.types import PatchType

from detour.discovery.kubernetes import Discovery, Timing
from detour.kubernetes.api import Api
from detour.kubernetes.config import cluster_config
from detour.mesh import Naming, OffloadedDeployment
from detour.mesh import Service as MeshService
from discovery.contract import Contract, Source
from discovery.kubernetes_source import objects_of
from kubernetes.cluster import Cluster

KINDS = {"services": Service, "pods": Pod, "deployments": Deployment}
API_VERSIONS = {"services": ("v1", "Service"), "pods": ("v1", "Pod"), "deployments": ("apps/v1", "Deployment")}


class RealSource(Source):
    """A namespace of the real cluster; its pods name a node without a kubelet."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        super().__init__()
        self._cluster = cluster
        self._namespace = namespace
        self._there: dict[tuple[str, str], dict[str, Any]] = {}
        self.connection = Api(cluster_config(str(cluster.kubeconfig)))
        timing = Timing(retry=0.05, retry_max=0.2)
        self.discovery = Discovery(self.connection, [namespace], Naming(home=namespace), timing)

    async def has(self, *values: MeshService | OffloadedDeployment) -> None:
        made = {key: one for key, one in objects_of(*values).items() if key[0] in KINDS}
        async with self._cluster.async_client(namespace=self._namespace) as client:
            for kind, name in self._there.keys() - made.keys():
                with suppress(ApiError):
                    await client.delete(KINDS[kind], name, grace_period=0)
            for (kind, name), one in made.items():
                if (kind, name) not in self._there:
                    await self._create(client, kind, one)
        self._there = made

    async def _create(self, client: AsyncClient, kind: str, one: dict[str, Any]) -> None:
        version, name = API_VERSIONS[kind]
        metadata = {**one["metadata"], "namespace": self._namespace}
        metadata.pop("uid", None)
        whole = {"apiVersion": version, "kind": name, **one, "metadata": metadata}
        status = whole.pop("status", None)
        if kind == "pods":
            containers = [{**container, "image": "none"} for container in one["spec"]["containers"]]
            whole["spec"] = {"nodeName": "nowhere", "containers": containers}
        if kind == "deployments":
            labels = {"detour.dev/offloaded": "never"}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "none"}]}}
            whole["spec"] = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.create(from_dict(whole))
                    break
                except ApiError as error:
                    # The one of that name before it has not quite gone.
                    if error.status.code != 409:
                        raise
                    await asyncio.sleep(0.05)
        if status:
            patch = {"status": status}
            await client.patch(
                PodStatus, metadata["name"], patch, namespace=self._namespace, patch_type=PatchType.MERGE
            )

    async def breaks(self) -> None:
        self._cluster.stop_api()

    async def is_mended(self) -> None:
        self._cluster.start_api()

    async def is_broken(self) -> None:
        async with asyncio.timeout(30):
            while not any("does not answer" in problem for problem in self.discovery.problems):
                await asyncio.sleep(0.02)


class TestRealCluster(Contract):
    """The contract on a real cluster."""

    @pytest.fixture
    async def source(self, cluster: Cluster, namespace: str) -> AsyncIterator[Source]:
        """Follow a namespace in which there is nothing yet."""
        with cluster.client() as client:
            # The controller leaves pods out whose node does not exist.
            client.apply(Node(metadata=ObjectMeta(name="nowhere")), field_manager="test")
        made = RealSource(cluster, namespace)
        task = asyncio.create_task(made.discovery.follow(made.take))
        yield made
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await made.connection.close()
