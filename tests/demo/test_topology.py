from detour.demo.machine import left_out
from detour.demo.topology import WHOLE, Service, Topology


def test_a_service_that_is_left_out_is_called_by_nobody():
    """Its instances go with it, and nothing else."""
    smaller = WHOLE.without({"receipts"})
    assert smaller.calls("payments") == ("users",)
    assert {one.service for one in WHOLE.instances} - {one.service for one in smaller.instances} == {"receipts"}
    assert all("receipts" not in one.calls for one in smaller)


def test_who_needs_what_is_not_there_is_left_out():
    """With the name of what is missing."""
    mesh = Topology(
        (Service("users", "http://users/"), Service("maps", "http://maps/", needs="no-such-program")), ()
    )
    assert left_out(mesh) == {"maps": "no-such-program is not installed"}


def test_every_service_has_an_instance_and_calls_those_that_are_there():
    """The whole mesh hangs together."""
    names = {one.name for one in WHOLE}
    assert {called for one in WHOLE for called in one.calls} <= names
    assert all(WHOLE.instances_of(name) for name in names)
