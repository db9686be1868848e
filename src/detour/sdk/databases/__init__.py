"""Databases per request: `override.db.<service>=<name>` makes the service use one of its own databases.

Invariant: only databases in the service's own configuration can be chosen. Any other name is reported, and the
default is used. With SQLAlchemy: `detour.sdk.databases.sqlalchemy`; with Django: `detour.sdk.databases.django`.
"""

import logging
from collections.abc import Iterable
from functools import cache, lru_cache

from detour.overrides import Kind
from detour.sdk import service
from detour.sdk.request import current

_logger = logging.getLogger(__name__)


class Databases:
    """The databases of a service, by name.

    Args:
        names: The names that a request may choose.
        default: The database for requests that choose none; `names` need not contain it.
    """

    def __init__(self, names: Iterable[str], default: str) -> None:
        self.default = default
        self.names = tuple(dict.fromkeys((default, *names)))

    def chosen(self) -> str:
        """Return the name of the database that the current request uses."""
        return self.overridden() or self.default

    def overridden(self) -> str | None:
        """Return the database that the current request chooses, if it exists; unknown names are reported."""
        name = _asked()
        if name is None or name in self.names:
            return name
        _refuse(name, self.names)
        return None


def _asked() -> str | None:
    overrides = current()
    if not overrides:
        return None
    own = service.name()
    if not own and overrides.of(Kind.DB):
        _warn_nameless()
    return overrides.value(Kind.DB, own)


@lru_cache(maxsize=1024)
def _refuse(name: str, names: tuple[str, ...]) -> None:
    _logger.error(
        "a request chooses the database %r, which this service does not list: it uses the default; listed are %s",
        name,
        ", ".join(names),
    )


@cache
def _warn_nameless() -> None:
    _logger.warning(
        "a request's choice of database is ignored, because this service does not know its name in the mesh: "
        "set OTEL_SERVICE_NAME, or call detour.sdk.install(service_name)"
    )
