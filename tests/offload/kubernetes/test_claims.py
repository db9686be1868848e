"""Keys by which controllers claim objects, and those that a configuration adds."""

import pytest

from detour.offload.kubernetes.claims import Claims


def test_a_configuration_adds_keys_and_domains() -> None:
    """A key that ends in a slash stands for its domain and the domain's subdomains."""
    labels = dict.fromkeys(
        [
            "a.test/owner",
            "a.test/other",
            "b.test/x",
            "sub.b.test/y",
            "notb.test/z",
            "mine",
            "app",
            "keel.sh/policy",
        ],
        "1",
    )
    claims = Claims(("a.test/owner", "b.test/", "mine"))
    assert list(claims.without(labels)) == ["a.test/other", "notb.test/z", "app"]
    assert "mine" in Claims().without(labels)
    assert claims.without(None) == {}


@pytest.mark.parametrize("key", ["", "/", "/x", "a b", "a/b/c", "-a", "a-/b", "A.test/x", "é"])
def test_what_is_not_a_key_is_refused(key: str) -> None:
    """A mistake would have no effect, and nothing would say so."""
    with pytest.raises(ValueError, match="is not a key of labels: expected KEY, DOMAIN/KEY or DOMAIN/"):
        Claims((key,))
