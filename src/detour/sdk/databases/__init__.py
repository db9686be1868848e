"""Databases for one request: `override.db.<service>=<name>` has the service use this one of its own.

Invariant: only what the service's own configuration lists is ever chosen; any other name is told, and the default
serves. With SQLAlchemy: `detour.sdk.databases.sqlalchemy`; with Django: `detour.sdk.databases.django`.
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
        names: Those that a request may choose.
        default: The one for requests that choose none; it need not be named twice.
    """

    def __init__(self, names: Iterable[str], default: str) -> None:
        self.default = default
        self.names = tuple(dict.fromkeys((default, *names)))

    def chosen(self) -> str:
        """Return the name of the one that the current request uses."""
        return self.overridden() or self.default

    def overridden(self) -> str | None:
        """Return the name that the current request asks for, if there is one of it; another one is told."""
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
        _tell_nameless()
    return overrides.value(Kind.DB, own)


@lru_cache(maxsize=1024)
def _refuse(name: str, names: tuple[str, ...]) -> None:
    _logger.error(
        "a request asks for the database %r, which this service does not list: the default serves; listed are %s",
        name,
        ", ".join(names),
    )


@cache
def _tell_nameless() -> None:
    _logger.warning(
        "a request's choice of database is ignored: this service does not know what the mesh calls it; "
        "set OTEL_SERVICE_NAME, or call detour.sdk.install(service_name)"
    )
