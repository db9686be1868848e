"""The cluster of an installation, with refusals in words for people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from detour.kubernetes.api import Api
from detour.kubernetes.config import ClusterConfig
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import WEBHOOKS
from detour.kubernetes.views import Webhooks

_WEBHOOKS: Final = "detour"
"""The chart's one object whose name is the same in every installation: it says whether there is one."""

MANAGER: Final = "app.kubernetes.io/managed-by"
_HELM: Final = "Helm"


@dataclass(frozen=True, slots=True)
class Present:
    """The installation that a cluster has.

    Args:
        namespace: The server's; empty if it does not say.
        is_helms: Whether Helm installed it, and manages it.
    """

    namespace: str
    is_helms: bool


@asynccontextmanager
async def connected(config: ClusterConfig) -> AsyncIterator[Api]:
    """Connect to a cluster, and close the connection at the end.

    Raises:
        RuntimeError: The cluster refuses, with its words (which right is missing), or does not answer.
    """
    api = Api(config)
    try:
        yield api
    except ApiError as error:
        if error.code:
            raise RuntimeError(f"the cluster refuses: {error}") from error
        raise RuntimeError(f"the API server at {api.url} does not answer: {error}") from error
    finally:
        await api.close()


async def present(api: Api) -> Present | None:
    """Find the installation that is in the cluster; None if there is none.

    Raises:
        ApiError: The cluster refuses.
    """
    found = await api.get(WEBHOOKS.read_as(Webhooks), _WEBHOOKS)
    if found is None:
        return None
    services = [one.client_config.service for one in found.webhooks or () if one.client_config.service]
    return Present(services[0].namespace if services else "", found.metadata.label(MANAGER) == _HELM)
