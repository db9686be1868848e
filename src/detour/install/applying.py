"""Putting an installation into a cluster."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import httpx2
from lightkube import ApiError, Client
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import SingleConfig
from lightkube.resources.apps_v1 import Deployment

Json = dict[str, Any]

_MANAGER: Final = "detour"
_LOOK_SECONDS: Final = 0.5


def apply(config: SingleConfig, objects: Iterable[Json], told: Callable[[str], None]) -> None:
    """Create the objects, or change them to what they should be (server-side apply).

    Args:
        config: The cluster, and who asks.
        objects: What there is to be.
        told: Called with a line for each.

    Raises:
        RuntimeError: The cluster refuses; the message says which object, and why.
    """
    with Client(config, trust_env=False) as client:
        for one in objects:
            what = f"{one['kind']} {one['metadata']['name']}"
            try:
                client.apply(from_dict(one), field_manager=_MANAGER, force=True)
            except ApiError as error:
                raise RuntimeError(f"{what} was refused: {error}") from error
            except httpx2.HTTPError as error:
                raise RuntimeError(f"the API server at {config.cluster.server} cannot be heard: {error}") from error
            told(f"{what} is as it should be")


def wait_until_available(config: SingleConfig, namespace: str, seconds: float) -> None:
    """Wait until the server answers.

    Raises:
        RuntimeError: It does not in time; the message says how to look why.
    """
    deadline = time.monotonic() + seconds
    with Client(config, trust_env=False) as client:
        while True:
            found = client.get(Deployment, "detour", namespace=namespace)
            if found.status and found.spec and (found.status.availableReplicas or 0) >= (found.spec.replicas or 1):
                return
            if time.monotonic() > deadline:
                look = f"kubectl -n {namespace} describe deployment,pods"
                raise RuntimeError(f"the server is not available after {seconds:g} s; {look} says why")
            time.sleep(_LOOK_SECONDS)
