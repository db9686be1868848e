"""What is kept of resources that have been built: so many bytes, those that were used last."""

from envoy.service.discovery.v3.discovery_pb2 import Resource

from detour.mesh import model
from detour.mesh.endpoint_rules import never
from detour.xds import http_options
from detour.xds.cache import CACHED_BYTES, Cache, Entry
from detour.xds.edge import scenario_routes


def entry(size: int = 0) -> Entry:
    """Return an entry whose resource has so many bytes, from 3 to 129; one without a resource for none."""
    made = Resource(name="n" * (size - 2)) if size else None
    assert made is None or made.ByteSize() == size
    return Entry(made, "users", 7)


def test_an_entry_costs_what_it_holds() -> None:
    """Its resource, its name twice, and 700 bytes; one that takes another's place costs no more."""
    cache = Cache()
    cache.put("a", entry(50), "four")
    assert cache.used_bytes == 758
    cache.put("b", entry(), "four")
    assert cache.used_bytes == 1466
    cache.put("a", entry(), "a")
    assert cache.used_bytes == 1410
    assert (cache.get("a"), cache.get("c")) == (entry(), None)


def test_what_was_not_used_for_longest_goes_first() -> None:
    """As many as have to; to look at one is to use it."""
    cache = Cache(2100)
    for key in "abc":
        cache.put(key, entry(), "")
    assert cache.used_bytes == 2100
    cache.get("a")
    cache.put("d", entry(), "")
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    cache.put("e", entry(), "n" * 100)
    assert [key for key in "acde" if cache.get(key)] == ["d", "e"]
    assert cache.used_bytes == 1600


def test_what_is_too_large_by_itself_is_not_kept() -> None:
    """Nor is what was there before under its key; all else stays."""
    cache = Cache(1400)
    cache.put("a", entry(), "")
    cache.put("b", entry(), "")
    cache.put("b", entry(101), "n" * 300)
    assert (cache.get("a"), cache.get("b"), cache.used_bytes) == (entry(), None, 700)
    cache.put("c", entry(100), "n" * 300)
    assert (cache.get("a"), cache.get("c"), cache.used_bytes) == (None, entry(100), 1400)


def test_a_server_keeps_64_megabytes() -> None:
    """Unless it is said otherwise."""
    assert CACHED_BYTES == 64_000_000
    assert Cache()._max_bytes == 64_000_000


def test_what_functions_remember_is_bounded_too() -> None:
    """What clients make up fills none of it."""
    sizes = [one.cache_info().maxsize for one in (http_options._options, scenario_routes._remembered)]
    assert sizes == [1000, 20_000]
    assert (never.cache_info().maxsize, model._ip_address.cache_info().maxsize) == (10_000, 1000)
