"""Keeps the certificates in the cluster valid; only the leader runs it.

Invariant: thin; `contents` decides what to write. A namespace that can't be written is reported once and retried,
and does not delay others. An authority is stored before it signs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar

from detour.certificates import secrets
from detour.certificates.authority import Subject, Terms
from detour.certificates.contents import Data, SecretChange, authorities_of, leaf_change
from detour.certificates.identity import TRUST_DOMAIN, detour_server, sidecar
from detour.certificates.secrets import Stored
from detour.certificates.succession import Authorities
from detour.kubernetes.api import Api
from detour.kubernetes.errors import ApiError
from detour.kubernetes.update import update
from detour.standing_problem import StandingProblems

AUTHORITY_SECRET: Final = "detour-ca"  # noqa: S105  a name
SERVER_SECRET: Final = "detour-server-tls"  # noqa: S105  a name
SIDECAR_SECRET: Final = "detour-sidecar-tls"  # noqa: S105  a name
WEBHOOKS: Final = "detour"

_AUTHORITY: Final = f"Secret {AUTHORITY_SECRET}"
_TRUST: Final = "the webhooks' caBundle"

_PERIOD_SECONDS: Final = 60.0
"""The longest time until a manual edit is corrected."""

_RETRY_SECONDS: Final = 5.0
_AT_ONCE: Final = 8
"""The number of namespaces that are processed concurrently."""

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where Detour is installed.

    Args:
        namespace: The server's namespace.
        domain: The cluster's DNS domain.
        trust_domain: The trust domain of the sidecars' SPIFFE ids.
        terms: The lifetimes of certificates.
    """

    namespace: str
    domain: str = TRUST_DOMAIN
    trust_domain: str = TRUST_DOMAIN
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True)
class _Certificate:
    """A Secret with a certificate to keep valid."""

    namespace: str
    secret: str
    subject: Subject

    def __str__(self) -> str:
        return f"Secret {self.secret} of namespace {self.namespace}"


class CertificateKeeper:
    """Maintains the authority, the server's certificate, the webhook's CA bundle and each namespace's certificate.

    Args:
        api: The API server.
        installation: Where Detour is.
        namespaces: Gives the namespaces whose pods have sidecars, as of when it is called.
        clock: Gives the time.
    """

    def __init__(
        self,
        api: Api,
        installation: Installation,
        namespaces: Callable[[], Collection[str]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._installation = installation
        self._namespaces = namespaces
        self._clock = clock
        self._woken = asyncio.Event()
        self._problems = StandingProblems(_log)

    @property
    def problems(self) -> Sequence[str]:
        """Current problems, one line each."""
        return self._problems.lines

    def wake(self) -> None:
        """Reconcile now, because the namespaces have changed."""
        self._woken.set()

    async def run(self) -> None:
        """Keep certificates valid until cancelled."""
        while True:
            self._woken.clear()
            await self.reconcile()
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS if self._problems else _PERIOD_SECONDS):
                    await self._woken.wait()

    async def reconcile(self) -> None:
        """Check everything once, and write what needs a change; failures are in `problems`."""
        certificates = [self._of_server(), *map(self._of_sidecars, sorted(self._namespaces()))]
        self._problems.keep_only([_AUTHORITY, _TRUST, *map(str, certificates)])
        authorities = await self._tried(_AUTHORITY, self._authorities())
        if authorities is None:
            return
        await self._tried(_TRUST, self._trust(authorities))
        limit = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._keep(one, authorities, limit) for one in certificates))

    def _of_server(self) -> _Certificate:
        here = self._installation
        return _Certificate(here.namespace, SERVER_SECRET, detour_server(here.namespace, here.domain))

    def _of_sidecars(self, namespace: str) -> _Certificate:
        subject = sidecar(namespace, self._installation.trust_domain)
        return _Certificate(namespace, SIDECAR_SECRET, subject)

    async def _keep(self, certificate: _Certificate, authorities: Authorities, limit: asyncio.Semaphore) -> None:
        def decide(data: Data | None) -> SecretChange | None:
            now, terms = self._clock(), self._installation.terms
            return leaf_change(data, certificate.subject, authorities, now, terms)

        async with limit:
            writing = self._change(certificate.namespace, certificate.secret, decide)
            await self._tried(str(certificate), writing)

    async def _authorities(self) -> Authorities:
        kept: list[Authorities] = []

        def decide(data: Data | None) -> SecretChange | None:
            authorities, change = authorities_of(data, self._clock(), self._installation.terms)
            kept.append(authorities)
            return change

        await self._change(self._installation.namespace, AUTHORITY_SECRET, decide)
        return kept[-1]

    async def _change(
        self, namespace: str, name: str, decide: Callable[[Data | None], SecretChange | None]
    ) -> None:
        """Read a Secret, decide, and write it if needed; retry on write conflicts."""
        change = await update(
            lambda: secrets.read_secret(self._api, namespace, name),
            lambda held: decide(held.data),
            lambda held, change: secrets.write_secret(self._api, namespace, name, held, change),
        )
        if change:
            _log_change(namespace, name, change)

    async def _trust(self, authorities: Authorities) -> None:
        """Write the webhook's CA bundle for the API server."""

        def decide(held: Stored) -> Mapping[str, bytes] | None:
            bundles = held.data or {}
            return {one: authorities.bundle for one in bundles if bundles[one] != authorities.bundle} or None

        changed = await update(
            lambda: secrets.read_bundles(self._api, WEBHOOKS),
            decide,
            lambda held, wrong: secrets.write_bundles(self._api, WEBHOOKS, held.version, wrong),
        )
        if changed:
            _log.info("updated the CA bundle of the webhooks %s", ", ".join(sorted(changed)))

    async def _tried(self, where: str, work: Awaitable[_Result]) -> _Result | None:
        try:
            result = await work
        except ApiError as error:
            if _is_ending(error):
                self._problems.end(where)
            else:
                self._problems.begin(where, f"{where} {_explained(error)}")
            return None
        self._problems.end(where)
        return result


def _log_change(namespace: str, name: str, change: SecretChange) -> None:
    level = logging.WARNING if change.is_repair else logging.INFO
    _log.log(level, "renewed Secret %s of namespace %s, because %s", name, namespace, change.reason)


def _is_ending(error: ApiError) -> bool:
    """Return whether a namespace is terminating or deleted, so that the error is expected."""
    return "NamespaceTerminating" in error.causes or error.code == HTTPStatus.NOT_FOUND


def _explained(error: ApiError) -> str:
    match error.code:
        case HTTPStatus.FORBIDDEN:
            hint = "grant Detour's service account get, create and patch on Secrets there"
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            hint = "if it is immutable or of another type, delete it: Detour will create it again"
        case _:
            hint = "Detour will retry"
    return f"cannot be updated: {error}; {hint}"
