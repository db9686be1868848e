"""Who in front of an edge is believed."""

import pytest

from detour.mesh import TrustedProxies


@pytest.mark.parametrize(
    ("values", "proxies"),
    [
        (["1"], TrustedProxies(hops=1)),
        (["10"], TrustedProxies(hops=10)),
        (["9"], TrustedProxies((), 9)),
        (["10.1.2.3/8", "fd00::1"], TrustedProxies(("10.0.0.0/8", "fd00::1/128"), 0)),
    ],
)
def test_hops_or_networks(values: list[str], proxies: TrustedProxies) -> None:
    """An address is a network of its own."""
    assert TrustedProxies.parse(values) == proxies
    assert proxies


@pytest.mark.parametrize("values", [[], ["0"], ["11"], ["1", "2"], ["10.0.0.0/8", "1"], ["proxy"], ["10.0.0.0/33"]])
def test_what_is_neither_is_refused(values: list[str]) -> None:
    """In the same words."""
    with pytest.raises(
        ValueError, match=r"^expected networks such as 10\.0\.0\.0/8, or the number of proxies in front, 1 to 10$"
    ):
        TrustedProxies.parse(values)


def test_by_default_nobody_is_believed() -> None:
    """Anybody can send these headers."""
    assert not TrustedProxies()
    assert (TrustedProxies().networks, TrustedProxies().hops) == ((), 0)
