"""Keeping certificates in the cluster good: the leader's work.

Invariant: thin. What to write is decided in `contents`. A namespace that can't be written is told of once, tried
again, and holds up no other. No certificate is signed by an authority that is not stored.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar

from lightkube import ApiError, AsyncClient

from detour.certificates import secrets
from detour.certificates.authority import Subject, Terms
from detour.certificates.contents import Change, Data, authorities_of, leaf_change
from detour.certificates.identity import TRUST_DOMAIN, detour_server, sidecar
from detour.certificates.succession import Authorities
from detour.kubernetes.failures import API_FAILURES

AUTHORITY_SECRET: Final = "detour-ca"  # noqa: S105  a name
SERVER_SECRET: Final = "detour-server-tls"  # noqa: S105  a name
SIDECAR_SECRET: Final = "detour-sidecar-tls"  # noqa: S105  a name
WEBHOOKS: Final = "detour"

_PERIOD_SECONDS: Final = 60.0
"""How long what was edited by hand may stay."""

_RETRY_SECONDS: Final = 5.0
_ATTEMPTS: Final = 5
"""So often in a row somebody else may be quicker."""

_AT_ONCE: Final = 8
"""So many namespaces are seen to at a time."""

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

Problems = dict[str, str]
"""What does not work, by where."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where Detour is.

    Args:
        namespace: The server's.
        domain: The cluster's DNS domain.
        trust_domain: What sidecars' identities begin with.
        terms: How long certificates last.
    """

    namespace: str
    domain: str = TRUST_DOMAIN
    trust_domain: str = TRUST_DOMAIN
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True)
class _Certificate:
    """A Secret with a certificate that is to be kept."""

    namespace: str
    secret: str
    subject: Subject

    def __str__(self) -> str:
        return f"Secret {self.secret} of namespace {self.namespace}"


class Keeper:
    """Keeps the authority, the server's certificate, the webhook's trust and every namespace's certificate.

    Args:
        client: For the API server.
        installation: Where Detour is.
        namespaces: Gives the namespaces whose pods have sidecars, as of when it is called.
        clock: Gives the time.
    """

    def __init__(
        self,
        client: AsyncClient,
        installation: Installation,
        namespaces: Callable[[], Collection[str]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._installation = installation
        self._namespaces = namespaces
        self._clock = clock
        self._woken = asyncio.Event()
        self._problems: Problems = {}

    @property
    def problems(self) -> list[str]:
        """What does not work at the moment: a line each."""
        return [f"{where} {problem}" for where, problem in sorted(self._problems.items())]

    def wake(self) -> None:
        """Say that the namespaces have changed."""
        self._woken.set()

    async def run(self) -> None:
        """Keep certificates good until cancelled."""
        while True:
            self._woken.clear()
            await self.reconcile()
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS if self._problems else _PERIOD_SECONDS):
                    await self._woken.wait()

    async def reconcile(self) -> None:
        """Look at everything once, and write what is not good; what fails is in `problems`."""
        sidecars = [self._of_sidecars(namespace) for namespace in sorted(self._namespaces())]
        before, self._problems = self._problems, {}
        authorities = await self._tried(f"Secret {AUTHORITY_SECRET}", self._authorities(), before)
        if authorities is None:
            return
        await self._tried("the webhooks' caBundle", self._trust(authorities), before)
        limit = asyncio.Semaphore(_AT_ONCE)
        certificates = [self._of_server(), *sidecars]
        await asyncio.gather(*(self._keep(one, authorities, before, limit) for one in certificates))

    def _of_server(self) -> _Certificate:
        here = self._installation
        return _Certificate(here.namespace, SERVER_SECRET, detour_server(here.namespace, here.domain))

    def _of_sidecars(self, namespace: str) -> _Certificate:
        subject = sidecar(namespace, self._installation.trust_domain)
        return _Certificate(namespace, SIDECAR_SECRET, subject)

    async def _keep(
        self, certificate: _Certificate, authorities: Authorities, before: Problems, limit: asyncio.Semaphore
    ) -> None:
        def decide(data: Data | None) -> Change | None:
            now, terms = self._clock(), self._installation.terms
            return leaf_change(data, certificate.subject, authorities, now, terms)

        async with limit:
            writing = self._change(certificate.namespace, certificate.secret, decide)
            await self._tried(str(certificate), writing, before)

    async def _authorities(self) -> Authorities:
        kept: list[Authorities] = []

        def decide(data: Data | None) -> Change | None:
            authorities, change = authorities_of(data, self._clock(), self._installation.terms)
            kept.append(authorities)
            return change

        await self._change(self._installation.namespace, AUTHORITY_SECRET, decide)
        return kept[-1]

    async def _change(self, namespace: str, name: str, decide: Callable[[Data | None], Change | None]) -> None:
        """Read, decide and write until nobody else was quicker."""
        for attempt in range(1, _ATTEMPTS + 1):
            held = await secrets.read_secret(self._client, namespace, name)
            change = decide(held.data)
            if change is None:
                return
            try:
                await secrets.write_secret(self._client, namespace, name, held, change)
            except ApiError as error:
                if secrets.status_of(error) != HTTPStatus.CONFLICT or attempt == _ATTEMPTS:
                    raise
            else:
                _tell(namespace, name, change)
                return

    async def _trust(self, authorities: Authorities) -> None:
        """Have the API server trust the webhook; a conflict is seen to at the next look."""
        held = await secrets.read_bundles(self._client, WEBHOOKS)
        wrong = {
            webhook: authorities.bundle
            for webhook, bundle in (held.data or {}).items()
            if bundle != authorities.bundle
        }
        if wrong:
            await secrets.write_bundles(self._client, WEBHOOKS, held.version, wrong)
            _log.info("the API server is told to trust the webhooks %s", ", ".join(sorted(wrong)))

    async def _tried(self, where: str, work: Awaitable[_Result], before: Problems) -> _Result | None:
        try:
            return await work
        except API_FAILURES as error:
            if not _is_ending(error):
                self._problems[where] = problem = _explained(error)
                level = logging.DEBUG if before.get(where) == problem else logging.ERROR
                _log.log(level, "%s %s", where, problem)
            return None


def _tell(namespace: str, name: str, change: Change) -> None:
    level = logging.WARNING if change.is_repair else logging.INFO
    _log.log(level, "Secret %s of namespace %s was renewed, because %s", name, namespace, change.reason)


def _is_ending(error: Exception) -> bool:
    """Say whether a namespace is going or gone: then nothing is wrong."""
    if not isinstance(error, ApiError):
        return False
    details = error.status.details
    causes = [cause.reason for cause in (details.causes or [])] if details else []
    return "NamespaceTerminating" in causes or secrets.status_of(error) == HTTPStatus.NOT_FOUND


def _explained(error: Exception) -> str:
    match secrets.status_of(error):
        case HTTPStatus.FORBIDDEN:
            hint = "grant Detour's service account get, create and patch on Secrets there"
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            hint = "if it is immutable or of another type, delete it: it will be made anew"
        case _:
            hint = "it will be tried again"
    return f"cannot be kept: {error or type(error).__name__}; {hint}"
