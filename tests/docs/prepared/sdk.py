"""The examples of docs/sdk.md."""

import threading
from types import SimpleNamespace
from typing import Any

import sqlalchemy
from django.conf import settings
from openfeature import api
from openfeature.provider.no_op_provider import NoOpProvider

from detour.sdk import carried, current, flag, using
from detour.sdk.databases.django import alias

_seen: dict[str, Any] = {}
_names = iter(("main", "copy"))


def _baggage() -> str:
    return carried().get("baggage", "")


def _send(body: str, headers: dict[str, str]) -> None:
    _seen["sent"] = (body, headers)


def _handle(message: SimpleNamespace) -> None:
    _seen["handled"] = (message.body, _baggage())


def _refresh_for_ever() -> None:
    _seen["refreshed under"] = _baggage()


def _create_engine(_where: object) -> sqlalchemy.Engine:
    """Create engines that can be told apart: the first is the example's `main`, the second its `copy`."""
    return sqlalchemy.create_engine("sqlite:///file::memory:?uri=true&name=" + next(_names))


def names() -> dict[str, Any]:
    """Return what the examples take for given."""
    return {
        "requests": SimpleNamespace(get=lambda url: _seen.update({url: _baggage()})),
        "send": _send,
        "body": "a ride",
        "message": SimpleNamespace(body="a ride", headers={"baggage": "override.route.users=pr-42"}),
        "handle": _handle,
        "threading": threading,
        "refresh_for_ever": _refresh_for_ever,
        "your_provider": NoOpProvider(),
        "create_engine": _create_engine,
    }


def check(names: dict[str, Any]) -> None:
    """Check what the examples have done, and that what they have made does what the page says."""
    assert _seen["http://rides/rides"] == "override.route.users=pr-42,override.config.new-checkout=on", _seen
    assert _seen["sent"] == ("a ride", {}), _seen
    assert _seen["handled"] == ("a ride", "override.route.users=pr-42"), _seen
    with using("users=pr-42", "config.new-checkout=on"):
        assert current().route("users") == "pr-42"
        assert carried() == {"baggage": "override.route.users=pr-42,override.config.new-checkout=on"}
        assert flag("new-checkout", default=False) is True
        assert api.get_client().get_boolean_value("new-checkout", default_value=False) is True
    assert flag("new-checkout", default=False) is False
    _check_databases(names)


def _check_databases(names: dict[str, Any]) -> None:
    settings.configure(
        DATABASES={
            name: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"} for name in ("default", "copy")
        },
        DATABASE_ROUTERS=names["DATABASE_ROUTERS"],
        DETOUR_DATABASES=names["DETOUR_DATABASES"],
    )
    with using("db.rides=copy"):
        assert _database(names) == "copy"
        assert alias() == "copy"
    assert _database(names) == "main"
    assert alias() == "default"


def _database(names: dict[str, Any]) -> str:
    with names["Session"].begin() as session:
        return session.get_bind().url.query["name"]
