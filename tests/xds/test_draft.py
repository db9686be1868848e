"""A response under construction."""

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, Resource

from detour.xds.draft import RESPONSE_BYTES, Draft


def draft() -> Draft:
    """Return an empty draft."""
    return Draft(DeltaDiscoveryResponse(type_url="cluster", nonce="1"))


def test_a_draft_is_full_at_its_bound() -> None:
    """One byte more does not fit, and then nothing else does."""
    one = draft()
    one.put(Resource(name="users"), RESPONSE_BYTES - 3)
    assert one.has_room(3)
    assert not one.has_room(4)
    assert not one.has_room(1)


def test_the_first_resource_fits_whatever_its_size() -> None:
    """Or it could never be sent."""
    one = draft()
    assert one.has_room(2 * RESPONSE_BYTES)
    one.put(Resource(name="users"), 2 * RESPONSE_BYTES)
    assert not one.has_room(0)


def test_removals_add_up() -> None:
    """A response holds a million bytes."""
    one = draft()
    one.remove("x" * 600_000)
    one.remove("y" * 399_999)
    assert one.has_room(1)
    assert not one.has_room(2)


def test_a_draft_contains_resources_and_removals() -> None:
    """Names count as well as resources."""
    one = draft()
    assert one.is_empty
    one.remove("x" * RESPONSE_BYTES)
    assert not one.is_empty
    assert not one.has_room(1)
    other = draft()
    other.put(Resource(name="users"), 10)
    assert not other.is_empty
    assert ([two.name for two in other.response.resources], list(one.response.removed_resources)) == (
        ["users"],
        ["x" * RESPONSE_BYTES],
    )
