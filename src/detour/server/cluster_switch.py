"""The kill switch of a server in a cluster, stored where all its replicas see it.

Invariant: no module that a server outside a cluster needs imports this one; only the extra [kubernetes] brings what
it imports.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from detour.database import StorageError
from detour.kubernetes.api import Api
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import LEASES
from detour.kubernetes.objects import KubernetesObject, Metadata
from detour.leadership import LeaseName
from detour.server.switch import OverrideSwitch, SwitchPosition

_ANNOTATION: Final = "detour.dev/overrides"
_LEASES: Final = LEASES.read_as(KubernetesObject)
_POLL_SECONDS: Final = 0.5
"""Maximum delay until other replicas see a change that is stored in the cluster."""


class ClusterSwitch(OverrideSwitch):
    """A switch that is stored in an annotation of the Lease that all replicas share.

    Args:
        api: The API server.
        name: The Lease.
    """

    def __init__(self, api: Api, name: LeaseName) -> None:
        super().__init__()
        self.is_known.clear()
        self._api = api
        self._name = name

    async def _store(self, wanted: SwitchPosition) -> None:
        patch = {"metadata": {"annotations": {_ANNOTATION: wanted.to_json()}}}
        name, namespace = self._name.name, self._name.namespace
        try:
            await self._api.patch(LEASES, name, patch, namespace)
        except ApiError as error:
            raise StorageError(
                f"{self._name} cannot be written, so the kill switch did not change: {error}"
            ) from error

    async def follow(self, changed: Callable[[], None]) -> None:
        """Follow changes by other replicas, until cancelled."""
        while True:
            try:
                # The Lease does not exist before the first replica leads.
                if found := await self._api.get(_LEASES, self._name.name, self._name.namespace):
                    self._take(found.metadata, changed)
            except (ApiError, ValueError) as error:
                self._problem.begin(f"{self._name} cannot be read: {error}")
            else:
                self._problem.end()
                self.is_known.set()
            await asyncio.sleep(_POLL_SECONDS)

    def _take(self, metadata: Metadata, changed: Callable[[], None]) -> None:
        text = metadata.annotation(_ANNOTATION)
        found = SwitchPosition.from_json(text) if text else SwitchPosition()
        if found != self.state:
            self.state = found
            changed()
