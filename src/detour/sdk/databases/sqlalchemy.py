"""Databases per request, with SQLAlchemy.

    engines = Engines({"main": create_engine(...), "pr-42": create_engine(...)}, default="main")
    Session = engines.sessionmaker()

    with Session.begin() as session:  # in the database of the current request
        ...

Invariant: a transaction uses one database, that of the request in which it started. A session that continues in
another request starts a new transaction there, without the objects that it holds from another database.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, event, orm
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext import asyncio

from detour.sdk.databases import Databases

_logger = logging.getLogger(__name__)

_E = TypeVar("_E", bound=Engine | asyncio.AsyncEngine)


class _Named(Generic[_E]):
    """Engines by name.

    Args:
        engines: The engines that a request may choose. An engine connects when it is first used.
        default: The name of the engine for requests that choose none.

    Raises:
        ValueError: The default's name is not among the engines.
    """

    def __init__(self, engines: Mapping[str, _E], default: str) -> None:
        if default not in engines:
            raise ValueError(f"the default database {default!r} has no engine; there are {', '.join(engines)}")
        self._engines: dict[str, _E] = dict(engines)
        self._databases = Databases(engines, default)

    def engine(self) -> _E:
        """Return the engine of the current request. Use the same one for a whole transaction."""
        return self._engines[self._databases.chosen()]


class Engines(_Named[Engine]):
    """Engines by name.

    Args:
        engines: The engines that a request may choose. An engine connects when it is first used.
        default: The name of the engine for requests that choose none.

    Raises:
        ValueError: The default's name is not among the engines.
    """

    def sessionmaker(
        self, class_: type[orm.Session] = orm.Session, **options: Any
    ) -> orm.sessionmaker[orm.Session]:
        """Return a `sessionmaker` with these options, whose sessions use the current request's database.

        Bindings of the service itself (`bind`, `binds`) take precedence.
        """
        return orm.sessionmaker(class_=_following(class_, self), **options)


class AsyncEngines(_Named[asyncio.AsyncEngine]):
    """Engines by name, for asyncio.

    Args:
        engines: The engines that a request may choose. An engine connects when it is first used.
        default: The name of the engine for requests that choose none.

    Raises:
        ValueError: The default's name is not among the engines.
    """

    def sessionmaker(
        self,
        class_: type[asyncio.AsyncSession] = asyncio.AsyncSession,
        sync_session_class: type[orm.Session] = orm.Session,
        **options: Any,
    ) -> asyncio.async_sessionmaker[asyncio.AsyncSession]:
        """Return an `async_sessionmaker` with these options, whose sessions use the current request's database.

        Bindings of the service itself (`bind`, `binds`) take precedence.
        """
        engines = Engines(
            {name: one.sync_engine for name, one in self._engines.items()}, default=self._databases.default
        )
        following = _following(sync_session_class, engines)
        return asyncio.async_sessionmaker(class_=class_, sync_session_class=following, **options)


def _following(parent: type[orm.Session], engines: Engines) -> type[orm.Session]:
    """Return a session class that uses these engines unless the service binds something else."""

    class Session(parent):  # type: ignore[valid-type, misc]
        _engine: Engine | None = None

        def get(self, *args: Any, **options: Any) -> Any:
            """Return an object of the current request's database, even if the session holds it from another one."""
            self._follow()
            return super().get(*args, **options)

        def get_bind(self, mapper: Any = None, *, bind: Any = None, **options: Any) -> Engine | Connection:
            """Return the service's own binding, else the engine of the current or next transaction."""
            if bind is not None or self.bind is not None or self.binds:
                with suppress(UnboundExecutionError):
                    found: Engine | Connection = super().get_bind(mapper, bind=bind, **options)
                    return found
            return self._follow()

        def _follow(self, begins: bool = False) -> Engine:
            if self._engine is None or begins or not self.in_transaction():
                engine = engines.engine()
                if self._engine not in (engine, None) and self.identity_map:
                    _logger.warning("a session continues in another database: it drops the objects that it holds")
                    self.expunge_all()
                self._engine = engine
            return self._engine

    def began(session: Session, transaction: orm.SessionTransaction) -> None:
        if transaction.parent is None:
            session._follow(begins=True)  # noqa: SLF001

    event.listen(Session, "after_transaction_create", began)
    return Session
