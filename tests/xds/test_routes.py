"""When route tables change for all sidecars at once: with the first service that has a timeout, and the last."""

from datetime import timedelta

from detour.mesh import Mesh, Service
from detour.xds.routes import ServicesWithTimeouts, has_timeouts

SLOW, QUICK = timedelta(seconds=5), timedelta(milliseconds=1)


def mesh(**timeouts: timedelta | None) -> Mesh:
    """Return a mesh of services with these timeouts."""
    return Mesh.of([Service(name, timeout=timeout) for name, timeout in timeouts.items()])


def test_whether_any_service_has_a_timeout() -> None:
    """One of many is enough."""
    assert has_timeouts(mesh(users=None, web=SLOW)) is True
    assert has_timeouts(mesh(users=None, web=None)) is has_timeouts(Mesh()) is False


def test_services_with_timeouts_are_counted_change_by_change() -> None:
    """Only the first one and the last one matter; a service that is gone has none."""
    counting = ServicesWithTimeouts(mesh(users=None, web=None))
    assert counting.update(mesh(users=SLOW, web=None), ["users"]) is True
    assert counting.update(mesh(users=SLOW, web=QUICK), ["web", "other"]) is False
    assert counting.update(mesh(users=QUICK, web=QUICK), ["users"]) is False
    assert counting.update(mesh(web=QUICK), ["users"]) is False
    assert counting.update(mesh(web=None), []) is False
    assert counting.update(mesh(web=None), ["web"]) is True
    assert counting.update(mesh(web=None), ["web", "users"]) is False


def test_a_mesh_to_begin_with_may_have_timeouts() -> None:
    """They are known from the start."""
    counting = ServicesWithTimeouts(mesh(users=SLOW, web=None))
    assert counting.update(mesh(users=SLOW, web=SLOW), ["web"]) is False
    assert counting.update(mesh(), ["users", "web"]) is True
