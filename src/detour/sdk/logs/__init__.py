"""Log levels per request: `override.log.<service>=debug` makes the service log that request at that level.

A level is a name of standard logging in any case, including the service's own (`logging.addLevelName`), or `trace`,
which is 5. An override only lowers the threshold: otherwise a header could silence a service and hide its sender.

Invariant: a request without such an override is logged as usual. While no request with one is in flight, a log call
runs exactly the same code as without this module.
"""

import logging
from functools import cache
from types import MappingProxyType
from typing import Final

from opentelemetry.context import Context

from detour.overrides import Kind, Override, OverrideProblem, Overrides
from detour.sdk import service
from detour.sdk.logs import flights, standard, structlog
from detour.sdk.request import carried_in, on_begin, report_problems

_logger = logging.getLogger(__name__)

_OWN_LEVELS: Final = MappingProxyType({"TRACE": 5})


@cache
def install() -> None:
    """Apply `override.log.<service>`, with standard logging and structlog. Further calls have no effect."""
    flights.on_change(standard.switch)
    flights.on_change(structlog.switch)
    on_begin(_mark)


def _mark(context: Context, _: Overrides) -> Context:
    """Store the log level that a request sets for this service, considering all overrides in the context."""
    return flights.marked(context, _asked(carried_in(context)))


def _asked(overrides: Overrides) -> int | None:
    name = service.name()
    if not name and overrides.of(Kind.LOG):
        _warn_nameless()
    text = overrides.value(Kind.LOG, name)
    return None if text is None else _level(name, text)


def _level(name: str, text: str) -> int | None:
    levels = {**_OWN_LEVELS, **{level.upper(): number for level, number in logging.getLevelNamesMapping().items()}}
    level = levels.get(text.upper())
    if level is None:
        expected = ", ".join(sorted(map(str.lower, levels), key=lambda each: levels[each.upper()]))
        report_problems(
            (OverrideProblem(f"{Override(Kind.LOG, name, text).key}={text}", f"expected one of {expected}"),)
        )
    return level


@cache
def _warn_nameless() -> None:
    _logger.warning(
        "a request's log levels are ignored, because this service does not know its name in the mesh: "
        "set OTEL_SERVICE_NAME, or call detour.sdk.install(service_name)"
    )
