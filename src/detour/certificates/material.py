"""What a server shows and whom it trusts, renewed while it serves.

Every replica of the server, leader or not, reads the Secret that the leader keeps. New handshakes use what is
newest; connections that are open go on undisturbed.

Invariant: what is in use was good when it was read. A Secret that is away or damaged changes nothing.
"""

import asyncio
import logging
import os
import ssl
from dataclasses import dataclass, field
from typing import Final

import grpc
from cryptography import x509

from detour.certificates import secrets
from detour.certificates.contents import BUNDLE, CERTIFICATE, KEY, Data
from detour.kubernetes.api import Api
from detour.kubernetes.errors import ApiError
from detour.standing_problem import StandingProblem

_PERIOD_SECONDS: Final = 15.0
_FIRST_PERIOD_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Material:
    """What a server needs for TLS.

    Args:
        certificate: PEM.
        key: PEM.
        authorities: PEM, one or more: whom peers' certificates have to be signed by.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes


class UnfitMaterialError(ValueError):
    """That is no certificate with its key and its authorities; the message says what is wrong."""


def material_of(data: Data) -> Material:
    """Return what a Secret holds.

    Raises:
        UnfitMaterialError: It can't be used.
    """
    material = Material(data.get(CERTIFICATE, b""), data.get(KEY, b""), data.get(BUNDLE, b""))
    try:
        x509.load_pem_x509_certificates(material.authorities)
    except ValueError as error:
        raise UnfitMaterialError(f"{BUNDLE} holds no certificate of an authority") from error
    _load(_context(), material)
    return material


class Serving:
    """TLS as a server offers it, always with what is newest.

    Args:
        material: What to begin with.
    """

    def __init__(self, material: Material) -> None:
        self._material = material
        self.https = _context()
        """For the webhook: shows the newest certificate, asks for none."""
        _load(self.https, material)

    @property
    def material(self) -> Material:
        """What is in use."""
        return self._material

    def use(self, material: Material) -> None:
        """Use something else from the next handshake on.

        Raises:
            UnfitMaterialError: It can't be used; all stays as it was.
        """
        _load(_context(), material)
        _load(self.https, material)
        self._material = material

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a gRPC server: it asks for certificates, and refuses who has none of the mesh."""
        taken = self._material

        def news() -> grpc.ServerCertificateConfiguration | None:
            # Called at every handshake, from a thread of gRPC's; None says that nothing is new.
            nonlocal taken
            if taken == self._material:
                return None
            taken = self._material
            return _configuration(taken)

        return grpc.dynamic_ssl_server_credentials(_configuration(taken), news, require_client_authentication=True)


async def first_material(api: Api, namespace: str, name: str) -> Material:
    """Wait until there is a Secret that can be used: the first leader has to make it first.

    Args:
        api: The API server.
        namespace: The server's namespace.
        name: The Secret's name.
    """
    problem = StandingProblem(_log, logging.INFO)
    while True:
        found = await _read(api, namespace, name)
        if isinstance(found, Material):
            return found
        problem.begin(f"waiting for a certificate: {found}")
        await asyncio.sleep(_FIRST_PERIOD_SECONDS)


async def follow(api: Api, namespace: str, name: str, serving: Serving) -> None:
    """Keep up with a Secret until cancelled.

    Args:
        api: The API server.
        namespace: The server's namespace.
        name: The Secret's name.
        serving: What to renew.
    """
    problem = StandingProblem(_log, logging.WARNING)
    while True:
        found = await _read(api, namespace, name)
        if isinstance(found, Material):
            problem.end()
            _renew(serving, found)
        else:
            problem.begin(f"the server's certificate stays as it is: {found}")
        await asyncio.sleep(_PERIOD_SECONDS)


def _renew(serving: Serving, material: Material) -> None:
    if material != serving.material:
        serving.use(material)
        _log.info("the server has a new certificate")


async def _read(api: Api, namespace: str, name: str) -> Material | str:
    """Return what there is, or why there is nothing."""
    try:
        held = await secrets.read_secret(api, namespace, name)
        if held.data is None:
            return f"there is no Secret {name} in namespace {namespace}"
        return material_of(held.data)
    except UnfitMaterialError as error:
        return f"Secret {name} of namespace {namespace} cannot be used: {error}"
    except ApiError as error:
        return f"Secret {name} of namespace {namespace} cannot be read: {error}"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, material: Material) -> None:
    """Load a certificate and its key, through memory: `ssl` takes files only, and a key belongs on no disk."""
    descriptor = os.memfd_create("detour-tls")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(material.certificate + material.key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (ssl.SSLError, OSError) as error:
        raise UnfitMaterialError(f"{CERTIFICATE} and {KEY} are no certificate with its key") from error
    finally:
        os.close(descriptor)


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.authorities
    )
