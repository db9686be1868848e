"""Log levels for one request: `override.log.<service>=debug` has the service log that request at that level.

A level is a name of standard logging's in any case, the service's own ones (`logging.addLevelName`) included, or
`trace`, which is 5. It only ever lowers the threshold: a header that could silence a service would hide its sender.

Invariant: a request without such an override is logged as ever, and while none with one is in flight, a log call
runs exactly the code that it runs without this.
"""

import logging
from functools import cache
from types import MappingProxyType
from typing import Final

from opentelemetry.context import Context

from detour.overrides import Kind, Override, Overrides, Problem
from detour.sdk import service
from detour.sdk.logs import flights, standard, structlog
from detour.sdk.request import carried_in, on_begin, tell

_logger = logging.getLogger(__name__)

_OWN_LEVELS: Final = MappingProxyType({"TRACE": 5})


@cache
def install() -> None:
    """Honour `override.log.<service>`, with standard logging and structlog; calling it again does no more."""
    flights.on_change(standard.switch)
    flights.on_change(structlog.switch)
    on_begin(_mark)


def _mark(context: Context, _: Overrides) -> Context:
    """Note the level that the request asks of this service; what counts is all that the context carries."""
    return flights.marked(context, _asked(carried_in(context)))


def _asked(overrides: Overrides) -> int | None:
    name = service.name()
    if not name and overrides.of(Kind.LOG):
        _tell_nameless()
    text = overrides.value(Kind.LOG, name)
    return None if text is None else _level(name, text)


def _level(name: str, text: str) -> int | None:
    levels = {**_OWN_LEVELS, **{level.upper(): number for level, number in logging.getLevelNamesMapping().items()}}
    level = levels.get(text.upper())
    if level is None:
        expected = ", ".join(sorted(map(str.lower, levels), key=lambda each: levels[each.upper()]))
        tell((Problem(f"{Override(Kind.LOG, name, text).key}={text}", f"expected one of {expected}"),))
    return level


@cache
def _tell_nameless() -> None:
    _logger.warning(
        "a request's log levels are ignored: this service does not know what the mesh calls it; "
        "set OTEL_SERVICE_NAME, or call detour.sdk.install(service_name)"
    )
