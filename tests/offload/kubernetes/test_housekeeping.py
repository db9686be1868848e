"""What is due with offloaded deployments at a moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from detour.kubernetes.views import Deployment
from detour.offload.kubernetes.housekeeping import Due, Task, due

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def deployment(expires: str = "", created: timedelta = timedelta(days=1), **annotations: str) -> dict[str, Any]:
    """Return an offloaded Deployment made that long ago; annotations without their prefix."""
    given = {"expires": expires} if expires else {}
    return {
        "metadata": {
            "name": "users--pr-42",
            "labels": {"detour.dev/service": "users", "detour.dev/offloaded": "pr-42"},
            "creationTimestamp": (NOW - created).isoformat(),
            "annotations": {f"detour.dev/{key}": value for key, value in {**given, **annotations}.items()},
        }
    }


def tasks(one: dict[str, Any]) -> list[Task]:
    """Say what is due with it."""
    return [found.task for found in due([msgspec.convert(one, Deployment)], NOW)]


def after(**time: float) -> str:
    """Return a moment so long after now."""
    return (NOW + timedelta(**time)).isoformat()


@pytest.mark.parametrize("expires", ["", "soon", after(hours=2), after(hours=1, seconds=1)])
def test_one_that_has_time_is_left_alone(expires: str) -> None:
    """One without an end, or with one that cannot be read, has all the time there is."""
    assert tasks(deployment(expires)) == []


def test_one_whose_time_is_over_is_removed() -> None:
    """Whatever else is due."""
    assert tasks(deployment(after(seconds=-1))) == [Task.REMOVE]
    assert tasks(deployment("2030-01-01T12:00:00Z")) == [Task.REMOVE]
    assert tasks(deployment("2030-01-01T11:00:00")) == [Task.REMOVE]


def test_its_owner_is_warned_an_hour_before_and_once() -> None:
    """Again if its end was put off."""
    soon = after(minutes=50)
    assert tasks(deployment(soon)) == [Task.WARN]
    assert tasks(deployment(soon, warned=soon)) == []
    assert tasks(deployment(soon, warned=after(minutes=10))) == [Task.WARN]


def test_one_that_lives_shortly_is_warned_of_at_half_of_its_time() -> None:
    """Rather than when it is made."""
    assert tasks(deployment(after(minutes=25), timedelta(minutes=5))) == []
    assert tasks(deployment(after(minutes=15), timedelta(minutes=15))) == [Task.WARN]


def test_one_that_came_to_nothing_is_taken_back() -> None:
    """Unless it is to be kept."""
    failed = {"status": {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}}
    one = msgspec.convert(deployment(after(days=1)) | failed, Deployment)
    assert list(due([one], NOW)) == [Due(Task.UNDO, one)]
    assert Due(Task.UNDO, one).place == ("users", "pr-42")
    assert tasks(deployment(after(days=1), keep="true") | failed) == []
