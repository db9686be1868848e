"""Databases for one request, with SQLAlchemy: real files of SQLite."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session
from sqlalchemy.pool import NullPool

from detour.sdk import databases, service, using
from detour.sdk.databases.sqlalchemy import AsyncEngines, Engines

NAMES = ("main", "pr-42", "pr-7")
PR_42 = "db.rides=pr-42"


class Base(DeclarativeBase):
    pass


class Ride(Base):
    __tablename__ = "rides"
    id: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[str]


@pytest.fixture(autouse=True)
def rides(monkeypatch: pytest.MonkeyPatch) -> None:
    """This service is called rides."""
    monkeypatch.setattr(service, "_given", ["rides"])
    databases._refuse.cache_clear()


@pytest.fixture
def by_name(tmp_path: Path) -> Iterator[dict[str, Engine]]:
    """Engines of three databases, each of which holds ride 1, whose place is the database's name."""
    engines = {name: create_engine(f"sqlite:///{tmp_path / name}", poolclass=NullPool) for name in NAMES}
    for name, engine in engines.items():
        Base.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            session.add(Ride(id=1, place=name))
    yield engines
    for engine in engines.values():
        engine.dispose()


@pytest.fixture
def engines(by_name: dict[str, Engine]) -> Engines:
    """All that the service configures."""
    return Engines(by_name, default="main")


def places(engine: Engine) -> list[str]:
    """Return what is in a database."""
    with engine.connect() as connection:
        return list(connection.scalars(text("select place from rides order by id")))


def test_a_request_reads_and_writes_its_own(engines: Engines, by_name: dict[str, Engine]) -> None:
    """And nothing reaches another one."""
    make = engines.sessionmaker()
    with using(PR_42), make.begin() as session:
        assert session.scalars(select(Ride.place)).all() == ["pr-42"]
        session.add(Ride(place="written"))
    with make() as session:
        assert session.get_one(Ride, 1).place == "main"
    assert {name: places(engine) for name, engine in by_name.items()} == {
        "main": ["main"],
        "pr-42": ["pr-42", "written"],
        "pr-7": ["pr-7"],
    }


def test_without_sessions_the_engine_is_the_requests(engines: Engines) -> None:
    """For those who write SQL."""
    assert places(engines.engine()) == ["main"]
    with using(PR_42):
        assert places(engines.engine()) == ["pr-42"]


def test_a_name_that_is_not_listed_is_never_connected_to(
    engines: Engines, by_name: dict[str, Engine], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The default serves, and it is told."""
    (tmp_path / "other").touch()
    with using("db.rides=other"), engines.sessionmaker()() as session:
        assert session.get_one(Ride, 1).place == "main"
    assert "listed are main, pr-42, pr-7" in caplog.text
    assert (tmp_path / "other").stat().st_size == 0


def test_a_default_without_engine_is_a_mistake_of_the_configuration(by_name: dict[str, Engine]) -> None:
    """It is told when the service starts."""
    with pytest.raises(ValueError, match="the default database 'prod' has no engine; there are main, pr-42, pr-7"):
        Engines(by_name, default="prod")


def test_one_transaction_is_in_one_database(engines: Engines, by_name: dict[str, Engine]) -> None:
    """Whatever the context is when it goes on: a thread without it, another block."""
    connected: list[str] = []
    for name, engine in by_name.items():
        event.listen(engine, "connect", lambda *_, name=name: connected.append(name))
    with engines.sessionmaker()() as session:
        with using(PR_42):
            session.add(Ride(place="first"))
        session.flush()
        with using("db.rides=pr-7"), session.begin_nested():
            session.add(Ride(place="second"))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(session.execute, select(Ride)).result(10)
        session.commit()
    assert connected == ["pr-42"]
    assert places(by_name["pr-42"]) == ["pr-42", "first", "second"]


def test_what_reads_before_it_writes_is_of_the_request_too(engines: Engines) -> None:
    """A query is what most transactions begin with."""
    session = engines.sessionmaker()()
    with using(PR_42):
        assert session.execute(text("select place from rides")).scalar() == "pr-42"
    assert session.execute(text("select place from rides")).scalar() == "pr-42"
    session.rollback()
    assert session.execute(text("select place from rides")).scalar() == "main"
    session.close()


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_a_session_that_goes_on_in_another_request_begins_anew(engines: Engines, end: str) -> None:
    """One for the whole process, as scripts and workers have it, must not stay where one request has been."""
    session = engines.sessionmaker(expire_on_commit=False)()
    with using(PR_42):
        kept = session.get_one(Ride, 1)
        getattr(session, end)()
    assert session.get_one(Ride, 1).place == "main"
    assert kept not in session
    session.close()


def test_objects_of_another_database_are_not_written_to_this_one(
    engines: Engines, by_name: dict[str, Engine], caplog: pytest.LogCaptureFixture
) -> None:
    """They leave the session when it begins elsewhere, and that is told."""
    session = engines.sessionmaker(expire_on_commit=False)()
    with using(PR_42):
        kept = session.get_one(Ride, 1)
        session.commit()
    kept.place = "changed"
    session.commit()
    session.close()
    assert [places(engine) for engine in by_name.values()] == [["main"], ["pr-42"], ["pr-7"]]
    assert caplog.messages == ["a session continues in another database: it drops the objects that it holds"]


def test_within_one_database_a_session_keeps_its_objects(engines: Engines) -> None:
    """As ever."""
    session = engines.sessionmaker(expire_on_commit=False)()
    kept = session.get_one(Ride, 1)
    session.commit()
    assert session.get_one(Ride, 1) is kept
    session.close()


def test_sessions_of_a_scope_follow_too(engines: Engines) -> None:
    """As web frameworks keep one for each thread."""
    scoped = scoped_session(engines.sessionmaker())
    with using(PR_42):
        assert scoped.get_one(Ride, 1).place == "pr-42"
        scoped.remove()
    assert scoped.get_one(Ride, 1).place == "main"
    scoped.remove()


def test_what_the_service_binds_itself_stays(engines: Engines, by_name: dict[str, Engine]) -> None:
    """To a connection, as tests do; or a class of its own to a database of its own."""
    with using(PR_42):
        with by_name["pr-7"].connect() as connection, engines.sessionmaker()(bind=connection) as session:
            assert session.get_one(Ride, 1).place == "pr-7"
        with engines.sessionmaker(binds={Ride: by_name["pr-7"]})() as session:
            assert session.get_one(Ride, 1).place == "pr-7"
            assert session.execute(text("select place from rides")).scalar() == "pr-42"
        with engines.sessionmaker()() as session:
            statement = text("select place from rides")
            assert session.execute(statement, bind_arguments={"bind": by_name["pr-7"]}).scalar() == "pr-7"


def test_classes_and_options_of_the_services_own_are_kept(engines: Engines) -> None:
    """Methods that it adds to sessions."""

    class Own(Session):
        def place(self) -> str:
            return self.get_one(Ride, 1).place

    with using(PR_42), engines.sessionmaker(Own, autoflush=False)() as session:
        assert session.place() == "pr-42"
        assert not session.autoflush


def test_concurrent_requests_do_not_mix(engines: Engines) -> None:
    """On threads, each with a session of its own."""
    make = engines.sessionmaker()

    def serve(number: int) -> str:
        with using(f"db.rides={NAMES[number % 3]}"), make() as session:
            return session.get_one(Ride, 1).place

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(serve, range(150))) == [*NAMES] * 50


class TestAsync:
    @pytest.fixture
    async def engines(self, by_name: dict[str, Engine], tmp_path: Path) -> AsyncIterator[AsyncEngines]:
        """All that the service configures."""
        made = {
            name: create_async_engine(f"sqlite+aiosqlite:///{tmp_path / name}", poolclass=NullPool)
            for name in by_name
        }
        yield AsyncEngines(made, default="main")
        for engine in made.values():
            await engine.dispose()

    async def test_a_request_reads_and_writes_its_own(
        self, engines: AsyncEngines, by_name: dict[str, Engine]
    ) -> None:
        """And nothing reaches another one."""
        make = engines.sessionmaker()
        with using(PR_42):
            async with make.begin() as session:
                assert (await session.get_one(Ride, 1)).place == "pr-42"
                session.add(Ride(place="written"))
        async with make() as session:
            assert (await session.get_one(Ride, 1)).place == "main"
        assert {name: places(engine) for name, engine in by_name.items()} == {
            "main": ["main"],
            "pr-42": ["pr-42", "written"],
            "pr-7": ["pr-7"],
        }

    async def test_without_sessions_the_engine_is_the_requests(self, engines: AsyncEngines) -> None:
        """For those who write SQL."""
        with using(PR_42):
            async with engines.engine().connect() as connection:
                assert await connection.scalar(text("select place from rides")) == "pr-42"

    async def test_one_transaction_is_in_one_database(
        self, engines: AsyncEngines, by_name: dict[str, Engine]
    ) -> None:
        """Whatever the context is when it goes on."""
        async with engines.sessionmaker()() as session:
            with using(PR_42):
                session.add(Ride(place="first"))
            session.add(Ride(place="second"))
            await session.commit()
            assert (await session.get_one(Ride, 1)).place == "main"
        assert places(by_name["pr-42"]) == ["pr-42", "first", "second"]

    async def test_classes_and_options_of_the_services_own_are_kept(self, engines: AsyncEngines) -> None:
        """Methods that it adds to sessions."""

        class Own(AsyncSession):
            async def place(self) -> str:
                return (await self.get_one(Ride, 1)).place

        with using(PR_42):
            async with engines.sessionmaker(Own, expire_on_commit=False)() as session:
                assert await session.place() == "pr-42"

    async def test_a_connection_of_the_session_is_the_requests(self, engines: AsyncEngines) -> None:
        """Taken from it for SQL."""
        with using(PR_42):
            async with engines.sessionmaker()() as session:
                connection = await session.connection()
                assert await connection.scalar(text("select place from rides")) == "pr-42"

    async def test_concurrent_requests_do_not_mix(self, engines: AsyncEngines) -> None:
        """As tasks of one loop."""
        make = engines.sessionmaker()

        async def serve(number: int) -> str:
            with using(f"db.rides={NAMES[number % 3]}"):
                async with make() as session:
                    await asyncio.sleep(0)
                    return (await session.get_one(Ride, 1)).place

        assert await asyncio.gather(*map(serve, range(60))) == [*NAMES] * 20


def test_a_class_that_is_bound_nowhere_is_the_requests(engines: Engines, by_name: dict[str, Engine]) -> None:
    """Where the service binds some of its classes itself."""

    class Other(Base):
        __tablename__ = "others"
        id: Mapped[int] = mapped_column(primary_key=True)

    session = engines.sessionmaker(binds={Other: by_name["pr-7"]})()
    with using(PR_42):
        assert session.get_one(Ride, 1).place == "pr-42"
    session.close()
    with pytest.raises(UnboundExecutionError):  # SQLAlchemy alone knows no database for it
        Session(binds={Other: by_name["pr-7"]}).get_bind(Ride)
