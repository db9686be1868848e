"""Databases per request, with Django: a database router.

    DATABASES = {"default": ..., "pr-42": ...}
    DATABASE_ROUTERS = ["detour.sdk.databases.django.Router"]
    DETOUR_DATABASES = ["pr-42"]

Routers that precede it keep their models. Objects stay in the database that they were loaded from, and so do their
relations. Migrations are not affected: each database is migrated by its alias.

Django uses `default` wherever no database is named. Services therefore write `transaction.atomic(using=alias())`,
and `connections[alias()]` instead of `connection`.
"""

from functools import cache
from typing import Any

from django.conf import settings  # type: ignore[import-untyped]
from django.core.exceptions import ImproperlyConfigured  # type: ignore[import-untyped]
from django.db import DEFAULT_DB_ALIAS, connections  # type: ignore[import-untyped]

from detour.sdk.databases import Databases


class Router:
    """Routes models to the database that the current request chooses, out of `DETOUR_DATABASES`.

    Raises:
        ImproperlyConfigured: The setting contains a name that is not in `DATABASES`.
    """

    def __init__(self) -> None:
        self._databases = _databases()

    def db_for_read(self, _model: type, **hints: Any) -> str | None:
        """Return the alias that the request chooses; None if there is none, or the object has its own database."""
        return None if _is_placed(hints.get("instance")) else self._databases.overridden()

    db_for_write = db_for_read


def alias() -> str:
    """Return the database alias of the current request."""
    return _databases().chosen()


def _is_placed(instance: Any) -> bool:
    state = getattr(instance, "_state", None)
    return getattr(state, "db", None) is not None


@cache
def _databases() -> Databases:
    names = tuple(getattr(settings, "DETOUR_DATABASES", ()))
    if unknown := [name for name in names if name not in connections.settings]:
        raise ImproperlyConfigured(f"DETOUR_DATABASES names {unknown[0]!r}, which is not in DATABASES")
    return Databases(names, DEFAULT_DB_ALIAS)
