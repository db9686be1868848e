"""The kinds of overrides that services apply: each takes effect in a service with the SDK."""

import logging
from collections.abc import Callable

import pytest

from detour.overrides import AppliedBy, Kind
from detour.sdk import flag, logs, service, using
from detour.sdk.databases import Databases


def has_flag() -> bool:
    """Set one."""
    with using("config.colour=blue"):
        return flag("colour", "green") == "blue"


def has_level() -> bool:
    """Log at one."""
    logger = logging.getLogger("kinds")
    with using("log.users=debug"):
        return logger.isEnabledFor(logging.DEBUG)


def has_database() -> bool:
    """Choose one."""
    with using("db.users=copy"):
        return Databases(["copy"], default="main").chosen() == "copy"


# A kind of the table that is missing here fails.
EFFECTS: dict[Kind, Callable[[], bool]] = {Kind.CONFIG: has_flag, Kind.LOG: has_level, Kind.DB: has_database}


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.applied_by is AppliedBy.SERVICE])
def test_each_kind_that_services_apply_takes_effect(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is called users."""
    monkeypatch.setattr(service, "_given", ["users"])
    logs.install()
    assert EFFECTS[kind]()
