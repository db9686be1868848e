"""Issues certificates: for authorities, the server, and sidecars.

Invariant: pure except for randomness; the caller passes the time. Certificates follow RFC 5280: each one states its
usage, an authority signs leaves only (path length 0), no leaf outlives its authority, and a certificate is valid
from shortly before its creation, because of clock skew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_ORGANISATION: Final = "Detour"


@dataclass(frozen=True, slots=True)
class Terms:
    """Lifetimes of certificates.

    Args:
        leaf: The lifetime of a server's or a sidecar's certificate.
        authority: The lifetime of an authority.
        succession: How long before an authority's end its successor is created.
        spread: How long after its creation a successor begins to sign, so that all peers trust it by then.
        backdate: How long before its creation a certificate becomes valid.
    """

    leaf: timedelta = timedelta(days=7)
    authority: timedelta = timedelta(days=3 * 365)
    succession: timedelta = timedelta(days=365)
    spread: timedelta = timedelta(days=1)
    backdate: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key.

    Args:
        certificate: PEM, one certificate.
        key: PEM (PKCS #8, not encrypted); empty where only the certificate is known.
    """

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a leaf certificate.

    Args:
        names: DNS names (RFC 5280, section 4.2.1.6).
        uris: URIs: the SPIFFE id of a sidecar.
        usage: The extended key usage (section 4.2.1.12).
    """

    names: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH

    @property
    def alternatives(self) -> x509.SubjectAlternativeName:
        """Its names, in the form of the certificate's extension."""
        names: Sequence[x509.GeneralName] = [x509.DNSName(name) for name in self.names]
        return x509.SubjectAlternativeName([*names, *map(x509.UniformResourceIdentifier, self.uris)])


def server(names: Sequence[str]) -> Subject:
    """Return the subject of a server with these DNS names."""
    return Subject(names=tuple(names), usage=ExtendedKeyUsageOID.SERVER_AUTH)


def client(uri: str) -> Subject:
    """Return the subject of a client with this URI."""
    return Subject(uris=(uri,))


def new_authority(now: datetime, terms: Terms) -> Pair:
    """Create a self-signed authority.

    Its name has a random part, so that two authorities in one bundle have different names.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = _name(f"Detour authority {serial:040x}"[:41])
    start = now.astimezone(UTC).replace(microsecond=0)
    builder = (
        _builder(name, name, serial, key.public_key())
        .not_valid_before(start - terms.backdate)
        .not_valid_after(start + terms.authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue(subject: Subject, authority: Pair, now: datetime, terms: Terms) -> Pair:
    """Issue a certificate with a new key.

    Raises:
        ValueError: The authority is invalid, its key does not belong to it, or it has expired.
    """
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    start = now.astimezone(UTC).replace(microsecond=0)
    common_name = subject.names[0] if subject.names else "sidecar"
    builder = (
        _builder(_name(common_name[:64]), issuer.subject, x509.random_serial_number(), key.public_key())
        .not_valid_before(max(start - terms.backdate, issuer.not_valid_before_utc))
        .not_valid_after(min(start + terms.leaf, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([subject.usage]), critical=False)
        .add_extension(subject.alternatives, critical=False)
        .add_extension(_identifier_of(issuer), critical=False)
    )
    return _pair(builder.sign(_signing_key(authority), hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, serial: int, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(serial)
        .public_key(key)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Return the key usage (section 4.2.1.3): authorities sign certificates and CRLs, leaves sign handshakes."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _identifier_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _signing_key(authority: Pair) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(authority.key, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic curve key")  # noqa: TRY004  invalid content
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
