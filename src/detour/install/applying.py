"""Putting an installation into a cluster."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from detour.install.connection import Present, connected, present
from detour.kubernetes.api import Api
from detour.kubernetes.config import ClusterConfig
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import DEPLOYMENTS
from detour.kubernetes.objects import Json
from detour.kubernetes.views import Deployment

_LOOK_SECONDS: Final = 0.5


async def apply(
    config: ClusterConfig, namespace: str, objects: Sequence[Json], report: Callable[[str], None]
) -> None:
    """Create the objects, or change them to what they should be (server-side apply).

    Args:
        config: The cluster, and the credentials for it.
        namespace: The server's.
        objects: The objects.
        report: Called with a line for each.

    Raises:
        RuntimeError: The cluster refuses, and the message says which object, and why; or it has another
            installation, and nothing was changed.
    """
    async with connected(config) as api:
        _expect_no_other(namespace, await present(api))
        for one in objects:
            what = f"{one['kind']} {one['metadata']['name']}"
            try:
                await api.apply(one)
            except ApiError as error:
                if not error.code:
                    raise
                raise RuntimeError(f"{what} was refused: {error}") from error
            report(f"{what} is as it should be")


def _expect_no_other(namespace: str, found: Present | None) -> None:
    """Check that the cluster has no other installation, since both would own the objects without a namespace."""
    if found and found.is_helms:
        raise RuntimeError(f"Helm has installed Detour in namespace {found.namespace}: use helm upgrade")
    if found and found.namespace not in {"", namespace}:
        raise RuntimeError(
            f"Detour is installed in namespace {found.namespace} already, and a cluster has one:"
            f" give --server-namespace {found.namespace}, or detour uninstall first"
        )


async def wait_until_available(config: ClusterConfig, namespace: str, seconds: float) -> None:
    """Wait until the server answers, in the version that was applied last.

    Raises:
        RuntimeError: It does not in time; the message says how to find out why.
    """
    deadline = time.monotonic() + seconds
    async with connected(config) as api:
        while not await _is_available(api, namespace):
            if time.monotonic() > deadline:
                look = f"kubectl -n {namespace} describe deployment,pods"
                raise RuntimeError(f"the server is not available after {seconds:g} s; {look} says why")
            await asyncio.sleep(_LOOK_SECONDS)


async def _is_available(api: Api, namespace: str) -> bool:
    """Say whether every pod is of the newest version, and available, as `kubectl rollout status` understands it."""
    try:
        found = await api.get(DEPLOYMENTS.read_as(Deployment), "detour", namespace)
    except ApiError:
        # The API server may be away for a moment.
        return False
    if found is None:
        return False
    status = found.status
    counts = (status.replicas, status.updated_replicas, status.available_replicas)
    return found.is_observed and all(count == found.spec.replicas for count in counts)
