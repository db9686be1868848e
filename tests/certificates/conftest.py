"""Times and certificates that the tests share."""

from datetime import UTC, datetime, timedelta

import pytest

from detour.certificates.authority import Pair, Terms, client, issue, new_authority
from detour.certificates.contents import authorities_of, leaf_change
from detour.certificates.identity import detour_server
from detour.certificates.material import Material, material_of
from detour.certificates.succession import Authorities

TERMS = Terms()
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def applied(data, change):
    """Return what a Secret holds after a change."""
    merged = {**(data or {}), **change.data}
    return {key: value for key, value in merged.items() if value is not None}


@pytest.fixture
def now() -> datetime:
    """Return the time by which real TLS judges."""
    return datetime.now(UTC)


@pytest.fixture
def authority(now) -> Pair:
    """Make this mesh's authority."""
    return new_authority(now, TERMS)


def server_material(authority: Pair, now: datetime) -> Material:
    """Issue what a server shows."""
    change = leaf_change(None, detour_server("detour"), Authorities(authority), now, TERMS)
    return material_of(applied(None, change))


def sidecar_pair(authority: Pair, now: datetime, age: timedelta = timedelta()) -> Pair:
    """Issue a certificate for the sidecars of `shop` that is this old."""
    return issue(client("spiffe://cluster.local/ns/shop/sidecar"), authority, now - age, TERMS)


__all__ = ["NOW", "TERMS", "applied", "authorities_of", "server_material", "sidecar_pair"]
