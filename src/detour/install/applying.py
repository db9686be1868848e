"""Putting an installation into a cluster."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx2
from lightkube import ApiError, Client
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import SingleConfig
from lightkube.resources.apps_v1 import Deployment

from detour.install.asking import Present, asking, present

Json = dict[str, Any]

_MANAGER: Final = "detour"
_LOOK_SECONDS: Final = 0.5


def apply(config: SingleConfig, namespace: str, objects: Sequence[Json], told: Callable[[str], None]) -> None:
    """Create the objects, or change them to what they should be (server-side apply).

    Args:
        config: The cluster, and who asks.
        namespace: The server's.
        objects: What there is to be.
        told: Called with a line for each.

    Raises:
        RuntimeError: The cluster refuses, and the message says which object, and why; or another installation is
            in it, and nothing was changed.
    """
    with asking(Client(config, trust_env=False), config) as client:
        _expect_none_but(namespace, present(client))
        for one in objects:
            what = f"{one['kind']} {one['metadata']['name']}"
            try:
                client.apply(from_dict(one), field_manager=_MANAGER, force=True)
            except ApiError as error:
                raise RuntimeError(f"{what} was refused: {error}") from error
            told(f"{what} is as it should be")


def _expect_none_but(namespace: str, found: Present | None) -> None:
    """Objects of the whole cluster are one installation's: another would take them away from it."""
    if found and found.is_helms:
        raise RuntimeError(f"Helm has installed Detour in namespace {found.namespace}: use helm upgrade")
    if found and found.namespace not in {"", namespace}:
        raise RuntimeError(
            f"Detour is installed in namespace {found.namespace} already, and a cluster has one:"
            f" give --server-namespace {found.namespace}, or detour uninstall first"
        )


def wait_until_available(config: SingleConfig, namespace: str, seconds: float) -> None:
    """Wait until the server answers, in the version that was put there last.

    Raises:
        RuntimeError: It does not in time; the message says how to look why.
    """
    deadline = time.monotonic() + seconds
    with Client(config, trust_env=False) as client:
        while not _is_available(client, namespace):
            if time.monotonic() > deadline:
                look = f"kubectl -n {namespace} describe deployment,pods"
                raise RuntimeError(f"the server is not available after {seconds:g} s; {look} says why")
            time.sleep(_LOOK_SECONDS)


def _is_available(client: Client, namespace: str) -> bool:
    """Say whether every pod is of the newest version, and available, as `kubectl rollout status` understands it."""
    try:
        found = client.get(Deployment, "detour", namespace=namespace)
    except httpx2.HTTPError:
        # The API server may be away for a moment.
        return False
    if found.status is None or found.spec is None or found.metadata is None:
        return False
    newest, status = found.metadata.generation or 0, found.status
    wanted = found.spec.replicas or 1
    counts = (status.replicas, status.updatedReplicas, status.availableReplicas)
    return (status.observedGeneration or 0) >= newest and all(count == wanted for count in counts)
