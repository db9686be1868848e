"""The server as it is installed in a cluster: one replica of several, with certificates and a webhook.

Invariant: what must be done once is done by the leader; everything else by every replica.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import httpx2
from lightkube import ApiError, AsyncClient
from lightkube.config.kubeconfig import SingleConfig
from lightkube.operators import equal
from lightkube.resources.core_v1 import Namespace

from detour.certificates.identity import namespace_of
from detour.certificates.keeper import SERVER_SECRET, Installation, Keeper
from detour.certificates.material import Serving, first_material, follow
from detour.injection import Settings
from detour.injection.plan import Json
from detour.leadership import LeaseName, lead
from detour.mesh import Naming
from detour.offload.kubernetes.housekeeping import Housekeeping
from detour.offload.kubernetes.objects import POD
from detour.server.switch import ClusterSwitch

_LEASE: Final = "detour-server"
_LEASE_TIMEOUT: Final = httpx2.Timeout(4)
"""Shorter than half of the time in which a leader must renew its Lease."""

_NATIVE_SINCE: Final = (1, 29)
"""Native sidecar containers are on by default (KEP-753)."""

_INJECTION: Final = "detour.dev/injection"
_NAMESPACES_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 5.0
_TRIAL_SECONDS: Final = 2.0
"""How long the API server may take over a pod that is tried: it waits for this webhook no longer than 5 s."""

_Run = Callable[[], Coroutine[Any, Any, None]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Replica:
    """Who this server is.

    Args:
        namespace: Where it runs, or where its Lease and Secrets are.
        identity: What tells it from the other replicas: the pod's name.
        webhook: `ip:port` of the admission webhook; empty for none.
        tls: Whether Envoys and the server prove to each other who they are.
        injection: How pods get their sidecars.
    """

    namespace: str
    identity: str
    webhook: str = ""
    tls: bool = False
    injection: Settings = field(default_factory=Settings)


class Installed:
    """A replica at work.

    Args:
        config: The API server, and the credentials for it.
        replica: Who this is.
        naming: What Services are called in the mesh.
        namespaces: Which make the mesh; all if there is none.
    """

    def __init__(self, config: SingleConfig, replica: Replica, naming: Naming, namespaces: Sequence[str]) -> None:
        self.replica = replica
        self._client = AsyncClient(config, namespace=replica.namespace, trust_env=False)
        self._lease_client = AsyncClient(config, timeout=_LEASE_TIMEOUT, trust_env=False)
        self._meshed = frozenset(namespaces)
        self._injected: frozenset[str] = frozenset()
        self._housekeeping = Housekeeping(self._client, naming, namespaces)
        self._keeper = Keeper(self._client, Installation(replica.namespace), self._sidecar_namespaces)
        self._serving: Serving | None = None

    @property
    def problems(self) -> list[str]:
        """What does not work at the moment, a line each; only the leader knows."""
        return self._keeper.problems

    @property
    def has_certificates(self) -> bool:
        """Whether certificates are needed at all."""
        return self.replica.tls or bool(self.replica.webhook)

    def namespace_of(self, peer: Mapping[str, Iterable[bytes]]) -> str | None:
        """Return the namespace that a verified peer speaks for; None if it is no sidecar of this mesh."""
        return namespace_of(peer)

    @property
    def _lease_name(self) -> LeaseName:
        return LeaseName(self.replica.namespace, _LEASE)

    def switch(self) -> ClusterSwitch:
        """Return the switch of overrides that all replicas share."""
        return ClusterSwitch(self._lease_client, self._lease_name)

    async def lead(self) -> None:
        """Do what must be done once, whenever this replica leads, until cancelled."""
        runs: list[_Run] = [partial(_kept_up, self._housekeeping.run)]
        if self.has_certificates:
            runs += [partial(_kept_up, self._keeper.run), self._follow_namespaces]
        name = self._lease_name
        try:
            await lead(self._lease_client, name, self.replica.identity, *runs)
        finally:
            await self._close()

    async def serving(self) -> Serving:
        """Return what TLS is served with; waits until the leader has made a certificate."""
        if self._serving is None:
            material = await first_material(self._client, self.replica.namespace, SERVER_SECRET)
            self._serving = Serving(material)
        return self._serving

    async def follow_certificate(self) -> None:
        """Keep up with the server's certificate until cancelled."""
        await follow(self._client, self.replica.namespace, SERVER_SECRET, await self.serving())

    def injection(self, version: tuple[int, int]) -> Settings:
        """Return how pods get their sidecars in a cluster of that version."""
        return replace(self.replica.injection, native=version >= _NATIVE_SINCE, tls=self.replica.tls)

    async def refusal(self, pod: Json) -> str:
        """Say why the cluster does not admit a pod; empty if it does.

        Only the API server knows: levels of Pod Security are labels of namespaces or defaults of the whole cluster,
        and other policies may hold beside them. So the pod's creation is tried (`dryRun`).
        """
        try:
            async with asyncio.timeout(_TRIAL_SECONDS):
                await self._client.create(POD.from_dict(pod), dry_run=True)
        except ApiError as error:
            return f"the API server says: {str(error).partition(' is forbidden: ')[2] or error}"
        except (httpx2.HTTPError, TimeoutError) as error:
            return f"the API server could not be asked ({str(error) or type(error).__name__})"
        return ""

    async def _close(self) -> None:
        await self._client.aclose()
        await self._lease_client.aclose()

    def _sidecar_namespaces(self) -> frozenset[str]:
        return self._meshed or self._injected

    async def _follow_namespaces(self) -> None:
        """Where all namespaces make the mesh, those that want sidecars get certificates."""
        while not self._meshed:
            labelled = self._client.list(Namespace, labels={_INJECTION: equal("enabled")})
            with suppress(ApiError, httpx2.HTTPError):
                found = frozenset(
                    [one.metadata.name async for one in labelled if one.metadata and one.metadata.name]
                )
                if found != self._injected:
                    self._injected = found
                    self._keeper.wake()
            await asyncio.sleep(_NAMESPACES_SECONDS)
        await asyncio.Event().wait()


async def _kept_up(run: _Run) -> None:
    """Do it, and again after a fault of its own: Envoys are served whatever is wrong with the leader's work."""
    while True:
        try:
            await run()
        except Exception:  # noqa: BLE001  whatever it is
            _log.exception("what only the leader does has failed; trying again")
        await asyncio.sleep(_AGAIN_SECONDS)
