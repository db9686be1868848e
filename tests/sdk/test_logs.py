"""Log levels for one request, with standard logging."""

import asyncio
import gc
import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import attach, detach, get_current

from detour.sdk import logs, service, using
from detour.sdk.logs import flights, standard

DEBUG = "log.rides=debug"


@pytest.fixture(autouse=True)
def rides(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This service is called rides; and nothing is left in flight."""
    logs.install()
    monkeypatch.setattr(service, "_given", ["rides"])
    logs._warn_nameless.cache_clear()
    yield
    settled()


def settled() -> None:
    """Wait until no request with a level of its own is in flight: a future may keep its context for a moment."""
    deadline = time.monotonic() + 10
    while flights.any_alive():
        gc.collect()
        assert time.monotonic() < deadline, "a request's context is kept"
    assert type(logging.root._cache) is dict


class Service:
    """A logger at WARNING, and the lines that its handler wrote."""

    def __init__(
        self, name: str = "tests.rides", level: int = logging.WARNING, handler: int = logging.NOTSET
    ) -> None:
        self.logger = logging.getLogger(name)
        self.logger.propagate = False
        self.logger.setLevel(level)
        self.logger.handlers.clear()
        self.stream = io.StringIO()
        self.handler = self.add(handler, self.stream)

    def add(self, level: int, stream: io.StringIO) -> logging.Handler:
        handler = logging.StreamHandler(stream)
        handler.setLevel(level)
        self.logger.addHandler(handler)
        return handler

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().split()


@pytest.fixture
def app() -> Service:
    """A service at WARNING."""
    return Service()


@contextmanager
def in_flight() -> Iterator[None]:
    """Another request, with a level of its own, is in flight all the while."""
    context = logs._mark(get_current(), logs.Overrides())
    other = flights.marked(context, logging.DEBUG)
    yield
    del other


def test_a_request_is_logged_at_its_own_level(app: Service) -> None:
    """And those before and behind it as ever."""
    app.logger.debug("before")
    with using(DEBUG):
        app.logger.debug("within")
        app.logger.warning("too")
    app.logger.debug("behind")
    assert app.lines == ["within", "too"]


def test_other_requests_in_flight_are_logged_as_ever(app: Service) -> None:
    """Whatever was asked of the logger in the meantime."""
    with in_flight():
        app.logger.debug("other")
        with using(DEBUG):
            app.logger.debug("within")
        with using("log.users=debug", "rides=pr-42"):
            app.logger.debug("of-another-service")
        app.logger.info("other")
    assert app.lines == ["within"]


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("trace", ["5", "10", "20", "30", "40"]),
        ("notset", ["5", "10", "20", "30", "40"]),
        ("DEBUG", ["10", "20", "30", "40"]),
        ("Info", ["20", "30", "40"]),
        ("warn", ["30", "40"]),
        ("error", ["30", "40"]),
        ("critical", ["30", "40"]),
    ],
)
def test_levels_are_named_in_any_case_and_only_lower(app: Service, level: str, lines: list[str]) -> None:
    """A header that could silence a service would hide whoever sent it."""
    with using(f"log.rides={level}"):
        for number in (5, 10, 20, 30, 40):
            app.logger.log(number, "%d", number)
    assert app.lines == lines


def test_a_services_own_levels_have_names_too(app: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it gave them to standard logging."""
    for names in ("_levelToName", "_nameToLevel"):
        monkeypatch.setattr(logging, names, dict(getattr(logging, names)))
    logging.addLevelName(23, "Notice")
    with using("log.rides=notice"):
        app.logger.log(22, "below")
        app.logger.log(23, "notice")
    assert app.lines == ["notice"]


def test_an_unknown_level_is_ignored_with_one_warning(app: Service, caplog: pytest.LogCaptureFixture) -> None:
    """However many requests ask for it."""
    for _ in range(3):
        with using("log.rides=loud"):
            app.logger.debug("no")
    assert app.lines == []
    (told,) = caplog.messages
    assert "'override.log.rides=loud' is ignored: expected one of notset, trace, debug, info, " in told


def test_a_service_without_a_name_says_so_once(
    app: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And honours no level."""
    monkeypatch.setattr(service, "_given", [""])
    for text in ("debug", "info"):
        with using(f"log.rides={text}"):
            app.logger.debug("no")
    assert app.lines == []
    (told,) = caplog.messages
    assert "set OTEL_SERVICE_NAME" in told


def test_the_inner_block_counts(app: Service) -> None:
    """Also one without a level."""
    with using(DEBUG):
        with using("rides=pr-42"):
            app.logger.debug("no")
        with using("log.rides=info"):
            app.logger.debug("no")
        app.logger.debug("yes")
    assert app.lines == ["yes"]


def test_a_header_brings_it(app: Service) -> None:
    """As it comes over HTTP."""
    from opentelemetry.baggage.propagation import W3CBaggagePropagator

    from detour.sdk.propagator import OverridesPropagator

    carrier = {"baggage": "team=a,override.log.rides=debug"}
    token = attach(OverridesPropagator(W3CBaggagePropagator()).extract(carrier))
    app.logger.debug("yes")
    detach(token)
    app.logger.debug("no")
    assert app.lines == ["yes"]


def test_threads_and_tasks_of_a_request_are_of_it(app: Service) -> None:
    """Under OpenTelemetry's instrumentation of threads."""
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    ThreadingInstrumentor().instrument()
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(app.logger.debug, "no").result(10)
            with using(DEBUG):
                pool.submit(app.logger.debug, "pool").result(10)
                thread = threading.Thread(target=app.logger.debug, args=("thread",))
                thread.start()
                thread.join(10)

                async def serve() -> None:
                    await asyncio.gather(asyncio.to_thread(app.logger.debug, "to_thread"), logged(app, "task"))

                asyncio.run(serve())
            pool.submit(app.logger.debug, "no").result(10)
    finally:
        ThreadingInstrumentor().uninstrument()
    del thread
    assert sorted(app.lines) == ["pool", "task", "thread", "to_thread"]


async def logged(app: Service, line: str) -> None:
    """Log a line in a task."""
    app.logger.debug(line)


async def test_a_task_that_outlives_its_request_is_logged_at_its_level(app: Service) -> None:
    """It is the request's work."""
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        app.logger.debug("later")

    with using(DEBUG):
        task = asyncio.create_task(later())
    app.logger.debug("no")
    go.set()
    await task
    assert app.lines == ["later"]


def test_concurrent_requests_do_not_mix(app: Service) -> None:
    """A hundred at a time, every other one with a level, on threads."""

    def serve(number: int) -> None:
        if number % 2:
            with using(DEBUG):
                app.logger.debug("%d", number)
        app.logger.debug("no")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(serve, range(2000)))
    assert sorted(map(int, app.lines)) == list(range(1, 2000, 2))


class TestWhatIsLoggedAsEver:
    def test_nothing_is_replaced_while_none_is_in_flight(self, app: Service) -> None:
        """A call runs the code, and finds the dictionary, that it would without Detour."""
        app.logger.debug("asked before")
        kept = app.logger._cache
        with using(DEBUG):
            assert app.logger._cache is not kept
        assert app.logger._cache is kept
        assert logging.Logger.isEnabledFor.__module__ == "logging"

    def test_a_call_that_begins_before_such_a_request_ends_well(self, app: Service) -> None:
        """It has asked the dictionary, and finds another one when it wants to keep the answer."""
        before = app.logger._cache
        before.clear()

        class Late(dict):
            def __missing__(self, level: int) -> bool:
                if not held:
                    held.append(flights.marked(get_current(), logging.DEBUG))
                raise KeyError(level)

        held: list[object] = []
        app.logger._cache = Late()
        app.logger.debug("no")
        assert type(app.logger._cache) is standard._Asking
        held.clear()
        app.logger._cache = before
        assert app.lines == []

    def test_the_effective_level_is_the_requests(self, app: Service) -> None:
        """Some ask for it instead, to spare themselves work."""
        with using(DEBUG):
            assert app.logger.getEffectiveLevel() == logging.DEBUG
            with using("rides=pr-42"):
                assert app.logger.getEffectiveLevel() == logging.WARNING
        assert app.logger.getEffectiveLevel() == logging.WARNING
        assert "getEffectiveLevel" not in vars(app.logger)

    def test_a_level_that_is_set_meanwhile_counts(self, app: Service) -> None:
        """Within requests and behind them."""
        app.logger.isEnabledFor(logging.INFO)
        with using(DEBUG):
            app.logger.setLevel(logging.INFO)
        app.logger.info("yes")
        with in_flight():
            app.logger.setLevel(logging.WARNING)
            app.logger.info("no")
        app.logger.info("no")
        assert app.lines == ["yes"]

    def test_logging_that_is_disabled_stays_so(self, app: Service) -> None:
        """For all loggers, and for one."""
        with using(DEBUG):
            logging.disable(logging.INFO)
            try:
                app.logger.debug("no")
                app.logger.info("no")
                app.logger.warning("yes")
            finally:
                logging.disable(logging.NOTSET)
            app.logger.disabled = True
            try:
                app.logger.error("no")
            finally:
                app.logger.disabled = False
        assert app.lines == ["yes"]

    def test_filters_count(self, app: Service) -> None:
        """The logger's and the handler's."""

        def without_no(record: logging.LogRecord) -> bool:
            return record.getMessage() != "no"

        def without_never(record: logging.LogRecord) -> bool:
            return record.getMessage() != "never"

        app.logger.addFilter(without_no)
        app.handler.addFilter(without_never)
        try:
            with using(DEBUG):
                for line in ("no", "never", "yes"):
                    app.logger.debug(line)
        finally:
            app.logger.removeFilter(without_no)
        assert app.lines == ["yes"]

    def test_a_subclass_that_decides_itself_does(self) -> None:
        """What it asks of the logger is answered for the request."""

        class Quiet(logging.Logger):
            def isEnabledFor(self, level: int) -> bool:  # noqa: N802
                return level != logging.DEBUG and super().isEnabledFor(level)

        logging.setLoggerClass(Quiet)
        try:
            logging.getLogger("tests.quiet")
        finally:
            logging.setLoggerClass(logging.Logger)
        quiet = Service("tests.quiet")
        with using(DEBUG):
            quiet.logger.debug("no")
            quiet.logger.info("yes")
        assert quiet.lines == ["yes"]

    def test_other_peoples_patches_stay(self, app: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also those that were made while such a request was in flight."""
        seen: list[str] = []
        own = logging.Logger.callHandlers

        def patched(self: logging.Logger, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            own(self, record)

        with using(DEBUG):
            monkeypatch.setattr(logging.Logger, "callHandlers", patched)
            app.logger.debug("within")
        app.logger.warning("behind")
        assert seen == app.lines == ["within", "behind"]


class TestWhoGetsTheLines:
    @pytest.mark.parametrize(
        ("logger", "handlers", "reached"),
        [
            (logging.WARNING, [logging.NOTSET], [True]),
            (logging.WARNING, [logging.WARNING], [True]),
            (logging.INFO, [logging.INFO, logging.ERROR], [True, False]),
            (logging.DEBUG, [logging.WARNING], [True]),
            (logging.DEBUG, [logging.INFO, logging.ERROR], [True, False]),
            (logging.DEBUG, [logging.DEBUG, logging.INFO], [True, False]),
            (logging.WARNING, [logging.ERROR], [False]),
            (logging.ERROR, [logging.ERROR], [True]),
        ],
    )
    def test_handlers_of_ordinary_lines_do(self, logger: int, handlers: list[int], reached: list[bool]) -> None:
        """A handler that waits for errors, such as one that sends mail, never does."""
        app = Service(level=logger)
        app.logger.handlers.clear()
        streams = [io.StringIO() for _ in handlers]
        for level, stream in zip(handlers, streams, strict=True):
            app.add(level, stream)
        with using(DEBUG):
            app.logger.debug("line")
        assert [stream.getvalue() == "line\n" for stream in streams] == reached

    def test_parents_handlers_do(self, app: Service) -> None:
        """As records go up."""
        with using(DEBUG):
            logging.getLogger("tests.rides.pricing").debug("yes")
        assert app.lines == ["yes"]

    def test_without_handlers_standard_errors_do(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Where standard logging writes warnings."""
        app = Service("tests.bare")
        app.logger.handlers.clear()
        with using(DEBUG):
            app.logger.debug("yes")
        assert capsys.readouterr().err.split()[-1:] == ["yes"]

    def test_a_handler_that_logs_itself_does_not_come_back(self, app: Service) -> None:
        """Such as one that sends lines by an HTTP client with debug lines of its own."""

        class Sending(logging.StreamHandler):
            def emit(self, record: logging.LogRecord) -> None:
                app.logger.debug("sending")
                super().emit(record)

        app.logger.handlers[:] = [Sending(app.stream)]
        with using(DEBUG):
            app.logger.debug("yes")
            app.logger.debug("again")
        assert app.lines == ["yes", "again"]

    def test_adapters_do(self, app: Service) -> None:
        """They ask their logger."""
        with using(DEBUG):
            logging.LoggerAdapter(app.logger, {}).debug("yes")
        assert app.lines == ["yes"]


def test_a_logger_that_is_made_meanwhile_asks_too() -> None:
    """A module that the request is the first to import."""
    with using(DEBUG):
        app = Service(f"tests.made-{time.monotonic_ns()}")
        app.logger.debug("yes")
    app.logger.debug("no")
    assert app.lines == ["yes"]
    assert type(app.logger._cache) is dict


@given(st.lists(st.booleans(), max_size=40))
def test_whatever_begins_and_ends_what_is_on_is_right(steps: list[bool]) -> None:
    """On while one is in flight."""
    held: list[object] = []
    for begins in steps:
        if begins:
            held.append(flights.marked(get_current(), logging.DEBUG))
        elif held:
            held.pop(len(held) // 2)
        assert (type(logging.root._cache) is standard._Asking) == bool(held)


def test_what_ends_by_the_garbage_collector_ends() -> None:
    """In whichever thread it runs."""
    cycle: list[object] = [flights.marked(get_current(), logging.DEBUG)]
    cycle.append(cycle)
    del cycle
    assert flights.any_alive()
    gc.collect()
    assert not flights.any_alive()


def test_beginning_and_ending_in_many_threads_settles() -> None:
    """With none lost, and without a lock that waits for itself."""
    alive: list[Callable[[], object]] = []

    def begin_and_end(_: int) -> None:
        context = flights.marked(get_current(), logging.DEBUG)
        assert type(logging.root._cache) is standard._Asking
        alive.append(ref(next(iter(value for value in context.values() if isinstance(value, flights.Flight)))))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin_and_end, range(3000), timeout=60))
    settled()
    assert not any(one() for one in alive)
