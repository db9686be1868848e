"""The server's certificate, key and trusted authorities, renewed while it serves.

Every replica of the server, leader or not, reads the Secret that the leader maintains. New handshakes use the
latest certificate; open connections continue.

Invariant: the material in use was valid when it was read. A missing or damaged Secret changes nothing.
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
    """The certificate, key and authorities of a TLS server.

    Args:
        certificate: PEM.
        key: PEM.
        authorities: PEM, one or more certificates: the authorities that peers' certificates must be signed by.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes


class UnfitMaterialError(ValueError):
    """The material is not a certificate with its key and authorities; the message says what is wrong."""


def material_of(data: Data) -> Material:
    """Return the material in a Secret.

    Raises:
        UnfitMaterialError: It is not valid.
    """
    material = Material(data.get(CERTIFICATE, b""), data.get(KEY, b""), data.get(BUNDLE, b""))
    try:
        x509.load_pem_x509_certificates(material.authorities)
    except ValueError as error:
        raise UnfitMaterialError(f"{BUNDLE} does not contain a certificate of an authority") from error
    _load(_context(), material)
    return material


class ServerTls:
    """The TLS configuration of a server, which can be renewed while it serves.

    Args:
        material: The first material.
    """

    def __init__(self, material: Material) -> None:
        self._material = material
        self.https = _context()
        """The context of the webhook: presents the current certificate, requests none from clients."""
        _load(self.https, material)

    @property
    def material(self) -> Material:
        """The material in use."""
        return self._material

    def use(self, material: Material) -> None:
        """Use other material from the next handshake on.

        Raises:
            UnfitMaterialError: The material is invalid; nothing changes.
        """
        _load(_context(), material)
        _load(self.https, material)
        self._material = material

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a gRPC server that requires client certificates of the mesh's authorities."""
        used = self._material

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            # gRPC calls this at every handshake, from one of its threads; None means that nothing has changed.
            nonlocal used
            if used == self._material:
                return None
            used = self._material
            return _configuration(used)

        return grpc.dynamic_ssl_server_credentials(_configuration(used), fetch, require_client_authentication=True)


async def first_material(api: Api, namespace: str, name: str) -> Material:
    """Wait until the Secret exists and is valid; the first leader creates it.

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


async def follow(api: Api, namespace: str, name: str, tls: ServerTls) -> None:
    """Use each new version of a Secret, until cancelled.

    Args:
        api: The API server.
        namespace: The server's namespace.
        name: The Secret's name.
        tls: The configuration to renew.
    """
    problem = StandingProblem(_log, logging.WARNING)
    while True:
        found = await _read(api, namespace, name)
        if isinstance(found, Material):
            problem.end()
            _renew(tls, found)
        else:
            problem.begin(f"the server keeps its current certificate: {found}")
        await asyncio.sleep(_PERIOD_SECONDS)


def _renew(tls: ServerTls, material: Material) -> None:
    if material != tls.material:
        tls.use(material)
        _log.info("the server uses a new certificate")


async def _read(api: Api, namespace: str, name: str) -> Material | str:
    """Return the material in a Secret, or a message that says why it can't be used."""
    try:
        held = await secrets.read_secret(api, namespace, name)
        if held.data is None:
            return f"Secret {name} of namespace {namespace} does not exist"
        return material_of(held.data)
    except UnfitMaterialError as error:
        return f"Secret {name} of namespace {namespace} is invalid: {error}"
    except ApiError as error:
        return f"Secret {name} of namespace {namespace} cannot be read: {error}"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, material: Material) -> None:
    """Load a certificate and its key from a memory file: `ssl` reads files only, and a key must not be on disk."""
    descriptor = os.memfd_create("detour-tls")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(material.certificate + material.key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (ssl.SSLError, OSError) as error:
        raise UnfitMaterialError(f"{CERTIFICATE} and {KEY} are not a certificate and its key") from error
    finally:
        os.close(descriptor)


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.authorities
    )
