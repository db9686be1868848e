"""Making certificates: the authority's own, the server's, and those of sidecars.

Invariant: pure but for randomness; the caller brings the time. All follow RFC 5280: every certificate says what it
may be used for, an authority signs leaves only (path length 0), no leaf outlives its authority, and all are valid
from a little before they were made, because clocks differ.
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
    """How long things last.

    Args:
        leaf: Life of a server's or a sidecar's certificate.
        authority: Life of an authority.
        succession: An authority's successor is made this long before its end.
        spread: A successor signs only after this long, when everybody has heard of it.
        backdate: Certificates are valid from this long before they are made.
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
    """Whom a leaf certificate is for.

    Args:
        names: DNS names (RFC 5280, section 4.2.1.6).
        uris: URIs: a sidecar's SPIFFE id.
        usage: What it may be used for (section 4.2.1.12).
    """

    names: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH

    @property
    def alternatives(self) -> x509.SubjectAlternativeName:
        """Its names as a certificate holds them."""
        names: Sequence[x509.GeneralName] = [x509.DNSName(name) for name in self.names]
        return x509.SubjectAlternativeName([*names, *map(x509.UniformResourceIdentifier, self.uris)])


def server(names: Sequence[str]) -> Subject:
    """Describe a server that is reached by DNS names."""
    return Subject(names=tuple(names), usage=ExtendedKeyUsageOID.SERVER_AUTH)


def client(uri: str) -> Subject:
    """Describe a client that is known by a URI."""
    return Subject(uris=(uri,))


def new_authority(now: datetime, terms: Terms) -> Pair:
    """Make an authority that signs itself.

    Its name holds a random part, so that two authorities in one bundle are never taken for each other.
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
    """Make a certificate with a new key.

    Raises:
        ValueError: The authority is no certificate with its key, or its time is up.
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
    """Section 4.2.1.3: an authority signs certificates and lists of revoked ones, a leaf signs handshakes."""
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
        raise ValueError("the authority's key is not an elliptic curve key")  # noqa: TRY004  it is bad content
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
