"""Certificates as they are made."""

import shutil
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from certificates.conftest import NOW, TERMS
from detour.certificates.authority import Subject, issue, new_authority
from detour.certificates.identity import detour_server, sidecar

SUBJECTS = [detour_server("detour"), sidecar("shop"), detour_server("n" * 63), sidecar("n" * 63)]


def parsed(pair) -> x509.Certificate:
    """Read a certificate."""
    return x509.load_pem_x509_certificate(pair.certificate)


def test_an_authority_signs_leaves_and_nothing_else():
    """RFC 5280, sections 4.2.1.3 and 4.2.1.9."""
    certificate = parsed(new_authority(NOW, TERMS))
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert certificate.not_valid_before_utc == NOW - TERMS.backdate
    assert certificate.not_valid_after_utc == NOW + TERMS.authority


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_leaf_names_its_subject_and_its_issuer(subject):
    """By names, use, and the issuer's key identifier (section 4.2.1.1)."""
    authority = new_authority(NOW, TERMS)
    extensions = (certificate := parsed(issue(subject, authority, NOW, TERMS))).extensions
    issuer = parsed(authority)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert extensions.get_extension_for_class(x509.SubjectAlternativeName).value == subject.alternatives
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [subject.usage]
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == identifier
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert certificate.issuer == issuer.subject


def test_no_leaf_outlives_or_predates_its_authority():
    """Whoever checks the chain would refuse it in the end, and in the first hour."""
    authority = new_authority(NOW, TERMS)
    late = parsed(issue(sidecar("shop"), authority, NOW + TERMS.authority - timedelta(days=1), TERMS))
    early = parsed(issue(sidecar("shop"), authority, NOW - TERMS.backdate, TERMS))
    assert late.not_valid_after_utc == parsed(authority).not_valid_after_utc
    assert early.not_valid_before_utc == parsed(authority).not_valid_before_utc


def test_two_authorities_are_never_taken_for_each_other():
    """Their names differ, as some programs look issuers up by name alone."""
    assert parsed(new_authority(NOW, TERMS)).subject != parsed(new_authority(NOW, TERMS)).subject


def test_a_key_is_in_no_representation():
    """Neither in a log nor in a traceback."""
    assert "PRIVATE" not in repr(new_authority(NOW, TERMS))


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_accepts_the_chain_strictly(tmp_path, subject: Subject):
    """`-x509_strict` checks what RFC 5280 asks for beyond what must be checked."""
    authority = new_authority(NOW, TERMS)
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    (tmp_path / "tls.crt").write_bytes(issue(subject, authority, NOW, TERMS).certificate)
    purpose = "sslserver" if subject.usage == ExtendedKeyUsageOID.SERVER_AUTH else "sslclient"
    options = ["-x509_strict", "-purpose", purpose, "-attime", str(int(NOW.timestamp()))]
    command = ["openssl", "verify", *options, "-CAfile", "ca.crt", "tls.crt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "tls.crt: OK\n", done.stderr
