"""Which namespace a peer speaks for."""

import pytest

from detour.certificates.identity import detour_server, namespace_of, sidecar


def test_a_sidecars_certificate_speaks_for_its_namespace():
    """The one it was made for."""
    (uri,) = sidecar("shop", "mesh.example").uris
    assert namespace_of({"peer_uri": [uri.encode()]}, "mesh.example") == "shop"


@pytest.mark.parametrize(
    "uris",
    [
        [],
        [b""],
        [b"\xff\xfe"],
        [b"spiffe://cluster.local/ns/shop/sidecar", b"spiffe://cluster.local/ns/pay/sidecar"],
        [b"spiffe://elsewhere/ns/shop/sidecar"],
        [b"spiffe://cluster.local/ns/shop/sidecar/"],
        [b"spiffe://cluster.local/ns/shop/sidecar?x"],
        [b"spiffe://cluster.local/ns/shop/sa/default"],
        [b"spiffe://cluster.local/ns//sidecar"],
        [b"spiffe://cluster.local/ns/shop/x/sidecar"],
        [b"spiffe://cluster.local/ns/-shop/sidecar"],
        [b"spiffe://cluster.local/ns/Shop/sidecar"],
        [b"spiffe://cluster.local/ns/shop\n/sidecar"],
        [b"https://cluster.local/ns/shop/sidecar"],
    ],
)
def test_what_is_no_sidecars_id_speaks_for_nobody(uris):
    """Whatever it is."""
    assert namespace_of({"peer_uri": uris}) is None
    assert namespace_of({}) is None


def test_a_server_has_every_name_it_is_called_by():
    """The API server calls webhooks by `<service>.<namespace>.svc`, sidecars call the server by a full name."""
    names = detour_server("mesh", "example.org").names
    assert {"detour", "detour.mesh.svc", "detour.mesh.svc.example.org", "detour-webhook.mesh.svc"} <= {*names}
