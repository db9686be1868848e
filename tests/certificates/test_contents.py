"""What the Secrets should hold, whatever they hold."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates.conftest import NOW, TERMS, applied
from detour.certificates.authority import issue, new_authority
from detour.certificates.contents import SecretChange, authorities_of, leaf_change
from detour.certificates.identity import detour_server, sidecar
from detour.certificates.succession import Authorities

SHOP = sidecar("shop")
AUTHORITY = Authorities(new_authority(NOW, TERMS))
OTHER = Authorities(new_authority(NOW, TERMS))
DAY = timedelta(days=1)


def made(subject=SHOP, authorities=AUTHORITY, now=NOW):
    """Return a Secret as it is first made."""
    return applied(None, leaf_change(None, subject, authorities, now, TERMS))


GOOD = made()
RSA = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_what_is_written_stays_until_two_thirds_of_its_life():
    """Then it is renewed, though nothing is wrong with it."""
    life = TERMS.leaf + TERMS.backdate
    due = NOW - TERMS.backdate + life * 2 / 3
    assert leaf_change(GOOD, SHOP, AUTHORITY, due - timedelta(seconds=1), TERMS) is None
    change = leaf_change(GOOD, SHOP, AUTHORITY, due, TERMS)
    assert set(change.data) == {"tls.crt", "tls.key"}
    assert not change.is_repair
    assert change.reason == "it expires at 2026-05-11 12:00 UTC"


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ({}, "it cannot be read"),
        (GOOD | {"tls.crt": GOOD["tls.crt"][:300]}, "it cannot be read"),
        (GOOD | {"tls.crt": b"\xff"}, "it cannot be read"),
        (GOOD | {"tls.crt": GOOD["tls.crt"] * 2}, "its file contains more than the certificate"),
        (GOOD | {"tls.crt": b"# mine\n" + GOOD["tls.crt"]}, "its file contains more than the certificate"),
        (GOOD | {"tls.key": b""}, "its key cannot be read"),
        (GOOD | {"tls.key": RSA}, "its key is not one that Detour made"),
        (GOOD | {"tls.key": made()["tls.key"]}, "its key belongs to another certificate"),
        (made(authorities=OTHER), "this mesh's authority did not sign it"),
        (made(sidecar("pay")), "it is for other names"),
        (made(detour_server("shop")), "it is for other names"),
        (made(now=NOW - 7 * DAY), "it expired at 2026-05-04 12:00 UTC"),
        (
            made(authorities=Authorities(new_authority(NOW + DAY, TERMS)), now=NOW + DAY),
            "it is not valid before 2026-05-05 11:00 UTC, and it is 2026-05-04 12:00 UTC now",
        ),
    ],
)
def test_what_is_unfit_is_replaced_and_told(held, reason):
    """After that, nothing is left to do."""
    change = leaf_change(held, SHOP, AUTHORITY, NOW, TERMS)
    assert (change.reason, change.is_repair) == (reason, True)
    assert leaf_change(applied(held, change), SHOP, AUTHORITY, NOW, TERMS) is None


def test_authorities_beside_a_good_certificate_are_put_right():
    """The certificate stays."""
    change = leaf_change(GOOD | {"ca.crt": b"edited"}, SHOP, AUTHORITY, NOW, TERMS)
    assert change == SecretChange({"ca.crt": GOOD["ca.crt"]}, "its ca.crt was outdated")


def test_what_others_keep_in_the_secret_stays():
    """A key that Detour does not know is nobody's mistake."""
    assert leaf_change(GOOD | {"notes": b"x"}, SHOP, AUTHORITY, NOW, TERMS) is None


def secrets(**keys: bytes):
    """Generate what somebody's hands make of a Secret."""
    names = st.sampled_from(sorted(keys))
    cut = st.tuples(names, st.integers(0, 900), st.binary(max_size=20), st.integers(0, 900))

    def edit(cuts):
        data = {name.replace("_", "."): value for name, value in keys.items()}
        for name, start, put, end in cuts:
            key = name.replace("_", ".")
            data[key] = data[key][:start] + put + data[key][max(start, end) :]
        return data

    return st.lists(cut, max_size=3).map(edit)


@settings(max_examples=300, deadline=None)
@given(secrets(tls_crt=GOOD["tls.crt"], tls_key=GOOD["tls.key"], ca_crt=GOOD["ca.crt"]))
def test_whatever_is_held_one_change_makes_it_good(held):
    """And a second finds nothing to do."""
    change = leaf_change(held, SHOP, AUTHORITY, NOW, TERMS)
    assert leaf_change(applied(held, change) if change else held, SHOP, AUTHORITY, NOW, TERMS) is None


FIRST = applied(None, authorities_of(None, NOW, TERMS)[1])


@settings(max_examples=200, deadline=None)
@given(
    secrets(
        tls_crt=FIRST["tls.crt"],
        tls_key=FIRST["tls.key"],
        previous_crt=OTHER.newest.certificate,
        previous_key=OTHER.newest.key,
    )
)
def test_whatever_the_authoritys_secret_holds_one_change_makes_it_good(held):
    """And what it then says can sign."""
    authorities, change = authorities_of(held, NOW, TERMS)
    after = applied(held, change) if change else held
    assert authorities_of(after, NOW, TERMS) == (authorities, None)
    issue(sidecar("shop"), authorities.signing(NOW, TERMS), NOW, TERMS)


def test_an_authority_whose_key_is_lost_is_still_trusted():
    """What it signed stays good, until another authority has signed it all anew."""
    authorities, change = authorities_of(FIRST | {"tls.key": b"lost"}, NOW, TERMS)
    assert (change.reason, change.is_repair) == ("its key cannot be read", True)
    assert authorities.previous.certificate == FIRST["tls.crt"]
    assert authorities.signing(NOW, TERMS) == authorities.newest
    before, _ = authorities_of(FIRST, NOW, TERMS)
    after = leaf_change(made(authorities=before), SHOP, authorities, NOW, TERMS)
    assert set(after.data) == {"ca.crt"}


def test_a_foreign_certificate_is_no_authority():
    """A leaf in its place is replaced, and not trusted."""
    authorities, change = authorities_of({"tls.crt": GOOD["tls.crt"], "tls.key": GOOD["tls.key"]}, NOW, TERMS)
    assert change.reason == "it is not an authority"
    assert authorities.previous is None


def test_a_deleted_authority_takes_its_trust_with_it():
    """Whoever deletes it wants that: its key was stolen."""
    before, _ = authorities_of(FIRST, NOW, TERMS)
    authorities, _ = authorities_of(None, NOW, TERMS)
    change = leaf_change(made(authorities=before), SHOP, authorities, NOW, TERMS)
    assert change.reason == "this mesh's authority did not sign it"
    assert before.newest.certificate not in change.data["ca.crt"]


def test_nobody_is_refused_while_the_authority_changes():
    """Day by day over ten years: what anybody shows, everybody trusts, even who heard of it a day later."""
    authority, leaf, bundles = None, None, []
    seen = set()
    for day in range(3650):
        now = NOW + day * DAY
        authorities, change = authorities_of(authority, now, TERMS)
        authority = applied(authority, change) if change else authority
        change = leaf_change(leaf, SHOP, authorities, now, TERMS)
        leaf = applied(leaf, change) if change else leaf
        seen.add(authorities.newest.certificate)
        bundles = [*bundles[-1:], leaf["ca.crt"]]
        certificate = x509.load_pem_x509_certificate(leaf["tls.crt"])
        assert certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
        for bundle in bundles:
            assert_trusted(certificate, bundle, now)
    assert len(seen) == 5


def assert_trusted(certificate, bundle, now):
    """One of the authorities has signed it and is in force."""
    by_name = {authority.subject: authority for authority in x509.load_pem_x509_certificates(bundle)}
    issuer = by_name[certificate.issuer]
    certificate.verify_directly_issued_by(issuer)
    assert issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc
