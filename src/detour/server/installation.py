"""The server as installed in a cluster: one of several replicas, with certificates and a webhook.

Invariant: only the leader does work that must be done once; every replica does everything else.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from detour.certificates.identity import namespace_of
from detour.certificates.keeper import SERVER_SECRET, CertificateKeeper, Installation
from detour.certificates.material import ServerTls, first_material, follow
from detour.injection import InjectionSettings, SelectingService
from detour.injection.plan import Json
from detour.kubernetes.api import Api
from detour.kubernetes.config import ClusterConfig
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import LIMIT_RANGES, NAMESPACES
from detour.kubernetes.objects import KubernetesObject
from detour.leadership import LeaseName, lead
from detour.mesh import Naming
from detour.offload.kubernetes.housekeeping import Housekeeping
from detour.reason import reason_of
from detour.server.cluster_switch import ClusterSwitch

_LEASE: Final = "detour-server"
_LEASE_TIMEOUT_SECONDS: Final = 4.0
"""Less than half of the time within which a leader must renew its Lease."""

_NATIVE_SINCE: Final = (1, 29)
"""The first Kubernetes version that enables native sidecar containers by default (KEP-753)."""

_INJECTED: Final = NAMESPACES.read_as(KubernetesObject).labelled({"detour.dev/injection": "enabled"})
_NAMESPACES_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 5.0
_DRY_RUN_SECONDS: Final = 2.0
"""Timeout of the dry run of a pod's creation; the API server waits at most 5 s for this webhook."""
_LIMITS_SECONDS: Final = 1.0
"""Timeout of reading LimitRanges, as above."""

_Run = Callable[[], Coroutine[Any, Any, None]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Replica:
    """The settings of a replica.

    Args:
        namespace: The namespace of the server, its Lease and its Secrets.
        identity: The unique name of the replica: the pod's name.
        webhook: `ip:port` of the admission webhook; empty for none.
        tls: Whether Envoys and the server authenticate each other (mTLS).
        injection: The settings of injected sidecars.
    """

    namespace: str
    identity: str
    webhook: str = ""
    tls: bool = False
    injection: InjectionSettings = field(default_factory=InjectionSettings)


class Installed:
    """A running replica.

    Args:
        config: The API server, and the credentials for it.
        replica: The settings of the replica.
        naming: Maps Services to names in the mesh.
        namespaces: The namespaces of the mesh; empty for all.
        services: Returns the Services of a namespace, by which sidecars are named.
    """

    def __init__(
        self,
        config: ClusterConfig,
        replica: Replica,
        naming: Naming,
        namespaces: Sequence[str],
        services: Callable[[str], Sequence[SelectingService]],
    ) -> None:
        self.services = services
        self.replica = replica
        self._api = Api(config)
        self._lease_api = Api(config, _LEASE_TIMEOUT_SECONDS)
        self._meshed = frozenset(namespaces)
        self._injected: frozenset[str] = frozenset()
        self._housekeeping = Housekeeping(self._api, naming, namespaces)
        self._keeper = CertificateKeeper(self._api, Installation(replica.namespace), self._sidecar_namespaces)
        self._serving: ServerTls | None = None

    @property
    def problems(self) -> Sequence[str]:
        """Current problems, a line each; only the leader knows them."""
        return self._keeper.problems

    @property
    def has_certificates(self) -> bool:
        """Whether the server needs certificates."""
        return self.replica.tls or bool(self.replica.webhook)

    def namespace_of(self, peer: Mapping[str, Iterable[bytes]]) -> str | None:
        """Return the namespace in a verified peer's certificate; None if the peer is not a sidecar of this mesh."""
        return namespace_of(peer)

    @property
    def _lease_name(self) -> LeaseName:
        return LeaseName(self.replica.namespace, _LEASE)

    def switch(self) -> ClusterSwitch:
        """Return the kill switch that all replicas share."""
        return ClusterSwitch(self._lease_api, self._lease_name)

    async def lead(self) -> None:
        """Campaign for leadership, and do the leader's work while leading, until cancelled."""
        runs: list[_Run] = [partial(_run_forever, self._housekeeping.run)]
        if self.has_certificates:
            runs += [partial(_run_forever, self._keeper.run), self._follow_namespaces]
        name = self._lease_name
        try:
            await lead(self._lease_api, name, self.replica.identity, *runs)
        finally:
            await self._close()

    async def serving(self) -> ServerTls:
        """Return the TLS material of the server; waits until the leader has created a certificate."""
        if self._serving is None:
            material = await first_material(self._api, self.replica.namespace, SERVER_SECRET)
            self._serving = ServerTls(material)
        return self._serving

    async def follow_certificate(self) -> None:
        """Follow changes of the server's certificate until cancelled."""
        await follow(self._api, self.replica.namespace, SERVER_SECRET, await self.serving())

    def injection(self, version: tuple[int, int]) -> InjectionSettings:
        """Return the settings of injected sidecars in a cluster of that version."""
        return replace(self.replica.injection, native=version >= _NATIVE_SINCE, tls=self.replica.tls)

    async def refusal(self, pod: Json) -> str:
        """Return why the cluster does not admit a pod; "" if it does.

        Only the API server knows: Pod Security levels are labels of namespaces or defaults of the whole cluster,
        and other policies may apply as well. So this creates the pod with `dryRun`.
        """
        try:
            async with asyncio.timeout(_DRY_RUN_SECONDS):
                await self._api.create(pod, is_dry_run=True)
        except (ApiError, TimeoutError) as error:
            if isinstance(error, ApiError) and error.code:
                return f"the API server says: {str(error).partition(' is forbidden: ')[2] or error}"
            return f"the API server did not answer ({reason_of(error)})"
        return ""

    async def limit_ranges(self, namespace: str) -> Sequence[Json]:
        """Return the LimitRanges of a namespace; none if they can't be read: a pod must not wait for them."""
        try:
            async with asyncio.timeout(_LIMITS_SECONDS):
                return await self._api.list(LIMIT_RANGES.whole, namespace)
        except (ApiError, TimeoutError) as error:
            _log.warning("cannot read the LimitRanges of namespace %s: %s", namespace, error or "no answer in time")
            return ()

    async def _close(self) -> None:
        await self._api.close()
        await self._lease_api.close()

    def _sidecar_namespaces(self) -> frozenset[str]:
        return self._meshed or self._injected

    async def _follow_namespaces(self) -> None:
        """If the mesh has all namespaces, find those with injection enabled: their sidecars need certificates."""
        while not self._meshed:
            with suppress(ApiError):
                found = frozenset([one.metadata.name for one in await self._api.list(_INJECTED)])
                if found != self._injected:
                    self._injected = found
                    self._keeper.wake()
            await asyncio.sleep(_NAMESPACES_SECONDS)
        await asyncio.Event().wait()


async def _run_forever(run: _Run) -> None:
    """Run it, and again after it fails: failures of the leader's work must not stop serving Envoys."""
    while True:
        try:
            await run()
        except Exception:  # noqa: BLE001  any failure
            _log.exception("a task of the leader failed; retrying in %s s", _RETRY_SECONDS)
        await asyncio.sleep(_RETRY_SECONDS)
