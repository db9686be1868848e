"""Log levels for one request, with structlog."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from detour.sdk import logs, service, using

DEBUG = "log.rides=debug"


@pytest.fixture(autouse=True)
def rides(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This service is called rides, and configures structlog itself."""
    logs.install()
    monkeypatch.setattr(service, "_given", ["rides"])
    yield
    structlog.reset_defaults()


class Service:
    """structlog with its own filtering, as its documentation configures it, and the lines that it writes."""

    def __init__(self, level: int = logging.WARNING, **options: Any) -> None:
        self.stream = io.StringIO()
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(level),
            processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
            logger_factory=structlog.PrintLoggerFactory(self.stream),
            **options,
        )
        self.logger = structlog.get_logger()

    @property
    def lines(self) -> list[str]:
        return [line.split("'")[1] for line in self.stream.getvalue().splitlines()]


def test_a_request_is_logged_at_its_own_level() -> None:
    """And those before and behind it as ever."""
    app = Service()
    app.logger.debug("before")
    with using(DEBUG):
        app.logger.debug("within %s", "it", user=7)
        app.logger.info("within")
        app.logger.warning("too")
    app.logger.info("behind")
    assert app.lines == ["within it", "within", "too"]
    assert "user=7" in app.stream.getvalue()


@pytest.mark.parametrize("cached", [True, False])
def test_loggers_that_are_bound_and_kept_are_of_it(cached: bool) -> None:
    """As modules keep them."""
    app = Service(cache_logger_on_first_use=cached)
    kept = structlog.get_logger().bind(part="pricing")
    app.logger.warning("first use")
    with using(DEBUG):
        kept.debug("kept")
        app.logger.debug("cached")
        kept.bind(more=1).debug("bound within")
    kept.debug("no")
    app.logger.debug("no")
    assert app.lines == ["first use", "kept", "cached", "bound within"]


def test_other_requests_in_flight_are_logged_as_ever() -> None:
    """Those without a level, and those with a higher one."""
    app = Service()
    with using(DEBUG):
        with using("rides=pr-42"):
            app.logger.debug("no")
        with using("log.rides=info"):
            app.logger.debug("no")
            app.logger.info("yes")
    assert app.lines == ["yes"]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.ERROR, logging.CRITICAL])
def test_every_method_below_the_level_is_of_it(level: int) -> None:
    """Whatever its name."""
    app = Service(level)
    with using(DEBUG):
        for name in ("debug", "info", "msg", "warn", "warning", "error", "critical", "fatal", "exception"):
            getattr(app.logger, name)(name)
        app.logger.log(logging.DEBUG, "log")
        app.logger.log(5, "no")
        assert app.logger.is_enabled_for(logging.DEBUG)
        assert not app.logger.is_enabled_for(5)
    names = ["debug", "info", "msg", "warn", "warning", "error", "critical", "fatal", "exception", "log"]
    assert app.lines == names
    assert app.logger.is_enabled_for(logging.DEBUG) == (level == logging.DEBUG)


async def test_awaited_methods_are_of_it() -> None:
    """As those of asyncio services."""
    app = Service()
    await app.logger.adebug("no")
    with using(DEBUG):
        await app.logger.adebug("adebug")
        await app.logger.ainfo("ainfo")
        await app.logger.alog(logging.DEBUG, "alog")
        with using("rides=pr-42"):
            await app.logger.adebug("no")
            await app.logger.alog(logging.DEBUG, "no")
    assert app.lines == ["adebug", "ainfo", "alog"]


def test_classes_of_the_services_own_are_of_it() -> None:
    """Which add methods to structlog's."""
    app = Service()

    class Own(structlog.make_filtering_bound_logger(logging.WARNING)):
        def ride(self, name: str) -> None:
            self.debug(name)

    structlog.configure(wrapper_class=Own)
    with using(DEBUG):
        structlog.get_logger().ride("yes")
    structlog.get_logger().ride("no")
    assert app.lines == ["yes"]


def test_nothing_is_replaced_while_none_is_in_flight() -> None:
    """All methods are structlog's own again."""
    kinds = [structlog.make_filtering_bound_logger(level) for level in range(0, 60, 10)]
    before = [dict(vars(kind)) for kind in kinds]
    with using(DEBUG):
        assert [dict(vars(kind)) for kind in kinds] != before
    assert [dict(vars(kind)) for kind in kinds] == before


def test_other_peoples_patches_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that were made while such a request was in flight."""
    kind = structlog.make_filtering_bound_logger(logging.WARNING)

    def patched(self: object, event: str) -> str:
        return event

    with using(DEBUG):
        original = kind.debug
        monkeypatch.setattr(kind, "debug", patched)
    assert kind.debug is patched
    assert original is not patched
    monkeypatch.undo()
    # Undoing it put back what was there within the request, which asks, and finds none.
    kind.debug = vars(structlog.make_filtering_bound_logger(logging.ERROR))["debug"]


def test_on_top_of_standard_logging_it_is_of_it() -> None:
    """With the filter of structlog's that asks the logger."""
    stream = io.StringIO()
    logger = logging.getLogger("tests.structlog")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.handlers[:] = [logging.StreamHandler(stream)]
    structlog.configure(
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    app = structlog.get_logger("tests.structlog")
    app.debug("no")
    with using(DEBUG):
        app.debug("yes")
    app.debug("no")
    assert stream.getvalue() == "yes\n"


def test_a_service_without_structlog_imports_none() -> None:
    """Nor does one that imports it later lose it."""
    program = """
import json, sys
import detour.sdk
from detour.sdk import using
detour.sdk.install("rides")
with using("log.rides=debug"):
    before = "structlog" in sys.modules
import logging, structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
with using("log.rides=debug"):
    structlog.get_logger().debug("yes")
print(json.dumps(before), file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ran.stderr) is False
    assert "yes" in ran.stdout
