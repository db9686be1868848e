"""Checks certificates: a certificate is good, due for renewal, or unfit.

Invariant: pure and total: any bytes get a verdict. Content that Detour would not have written in exactly this form
is unfit, so that manual edits never stay in use.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from detour.certificates.authority import Pair, Subject, Terms


class Standing(Enum):
    """The state of a certificate."""

    GOOD = auto()
    DUE = auto()
    UNFIT = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check.

    Args:
        standing: The state.
        reason: Why it has to be replaced, in a form that fits after "because"; empty if it is good.
    """

    standing: Standing
    reason: str = ""


_GOOD = Verdict(Standing.GOOD)

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class _UnfitError(ValueError):
    """The message says why; never leaves this module."""


def judge_leaf(pair: Pair, subject: Subject, authorities: Iterable[Pair], now: datetime) -> Verdict:
    """Check the certificate of a subject.

    Args:
        pair: The certificate and its key.
        subject: The expected subject.
        authorities: The authorities; one of them must have signed it.
        now: The time (timezone-aware); the certificate is due after two thirds of its lifetime.
    """
    try:
        certificate = _certificate(pair)
        _expect_valid(certificate, now)
        _expect_subject(certificate, subject)
        _expect_issuer(certificate, authorities)
    except _UnfitError as error:
        return Verdict(Standing.UNFIT, str(error))
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    is_due = now >= start + (end - start) * 2 / 3
    return Verdict(Standing.DUE, f"it expires at {end:%Y-%m-%d %H:%M} UTC") if is_due else _GOOD


def judge_authority(pair: Pair, now: datetime, terms: Terms) -> Verdict:
    """Check an authority; it is due for a successor `Terms.succession` before its end."""
    try:
        certificate = _certificate(pair)
        _expect_authority(certificate)
        _expect_valid(certificate, now)
    except _UnfitError as error:
        return Verdict(Standing.UNFIT, str(error))
    end = certificate.not_valid_after_utc
    is_due = now >= end - terms.succession
    return Verdict(Standing.DUE, f"it expires on {end:%Y-%m-%d}") if is_due else _GOOD


def trusted(certificate: bytes, now: datetime) -> x509.Certificate | None:
    """Parse the certificate of an authority, if it is still to be trusted; otherwise return None."""
    try:
        parsed = _parsed(certificate)
        _expect_authority(parsed)
        _expect_valid(parsed, now)
    except _UnfitError:
        return None
    return parsed


def _certificate(pair: Pair) -> x509.Certificate:
    certificate = _parsed(pair.certificate)
    try:
        key = load_pem_private_key(pair.key, password=None)
        canonical = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _UnfitError("its key cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or canonical != pair.key:
        raise _UnfitError("its key is not one that Detour made")
    if key.public_key() != certificate.public_key():
        raise _UnfitError("its key belongs to another certificate")
    return certificate


def _parsed(pem: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        # Extensions are parsed on first access.
        _ = certificate.extensions, certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise _UnfitError("it cannot be read") from error
    if certificate.public_bytes(Encoding.PEM) != pem:
        raise _UnfitError("its file contains more than the certificate")
    return certificate


def _expect_valid(certificate: x509.Certificate, now: datetime) -> None:
    if now >= certificate.not_valid_after_utc:
        raise _UnfitError(f"it expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if now < certificate.not_valid_before_utc:
        start = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise _UnfitError(f"it is not valid before {start}, and it is {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC now")


def _expect_subject(certificate: x509.Certificate, subject: Subject) -> None:
    if _extension(certificate, x509.SubjectAlternativeName) != subject.alternatives:
        raise _UnfitError("it is for other names")
    if _extension(certificate, x509.ExtendedKeyUsage) != x509.ExtendedKeyUsage([subject.usage]):
        raise _UnfitError("it is for another use")


def _expect_issuer(certificate: x509.Certificate, authorities: Iterable[Pair]) -> None:
    if not any(_has_signed(authority, certificate) for authority in authorities):
        raise _UnfitError("this mesh's authority did not sign it")


def _has_signed(authority: Pair, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True


def _expect_authority(certificate: x509.Certificate) -> None:
    constraints = _extension(certificate, x509.BasicConstraints)
    if not (constraints and constraints.ca):
        raise _UnfitError("it is not an authority")
    if not _has_signed(Pair(certificate.public_bytes(Encoding.PEM), b""), certificate):
        raise _UnfitError("it is not self-signed")
    if _extension(certificate, x509.SubjectKeyIdentifier) is None:
        raise _UnfitError("it has no key identifier")


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
