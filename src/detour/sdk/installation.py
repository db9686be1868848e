"""Setting up, once, at the start of a service: what carries overrides in, through and out.

Invariant: a library is touched when the service imports it, not before; and whatever fails here is told and leaves
the service as it was.
"""

import logging
import os
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.propagate import get_global_textmap, set_global_textmap

from detour.sdk import logs, service
from detour.sdk.libraries import LIBRARIES, UNKNOWN, Library
from detour.sdk.propagator import OverridesPropagator

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_logger = logging.getLogger(__name__)

_GROUP: Final = "opentelemetry_instrumentor"
_DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def install(service_name: str = "") -> None:
    """Have overrides travel through this service, whatever libraries it uses, and be honoured by it.

    Call it first, behind nothing but the set-up of OpenTelemetry's own SDK if there is one; or run the service with
    `opentelemetry-instrument`, which calls it. Calling it again does no more.

    OpenTelemetry's instrumentation of a library is switched on when the service imports the library, unless it is
    on, or named in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`. Libraries that overrides get lost in are reported.

    Args:
        service_name: What the mesh calls this service, for `override.log.<service>` and `override.db.<service>`;
            else `OTEL_SERVICE_NAME`, or `service.name` in `OTEL_RESOURCE_ATTRIBUTES`.
    """
    if service_name:
        service.set_name(service_name)
    propagators = get_global_textmap()
    if not isinstance(propagators, OverridesPropagator):
        set_global_textmap(OverridesPropagator(propagators))
    _install_once()


@cache
def _install_once() -> None:
    logs.install()
    from wrapt import register_post_import_hook  # noqa: PLC0415  what sets nothing up need not wait for it

    for library in LIBRARIES:
        register_post_import_hook(partial(_imported, library), library.module)
    for module, name in UNKNOWN.items():
        register_post_import_hook(partial(_report_unknown, name), module)


def _imported(library: Library, module: Any) -> None:
    for name in library.instrumentations:
        _attempt(library, partial(instrument, name))
    if library.mend:
        _attempt(library, partial(_mend, library, module))


def _report_unknown(name: str, _: Any) -> None:
    _logger.warning(
        "overrides are lost in %s, which Detour does not know: hand them on with detour.sdk.carried() and "
        "under_carried(), see docs/sdk.md",
        name,
    )


def _mend(library: Library, module: Any) -> None:
    import_module(f"detour.sdk.mends.{library.mend}").mend(module)


def _attempt(library: Library, step: Callable[[], None]) -> None:
    try:
        step()
    except Exception:  # a service starts whatever is wrong with its libraries
        _logger.exception("overrides may be lost in %s", library.name)


def instrument(name: str) -> None:
    """Switch on one of OpenTelemetry's instrumentations, unless it is on."""
    found = None if _is_disabled(name) else _instrumentors().get(name)
    if found is None:
        return
    instrumentor = found.load()()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()


def is_on(name: str) -> bool:
    """Say whether one of OpenTelemetry's instrumentations is switched on."""
    instrumentor = None if _is_disabled(name) else _instrumentor(name)
    return instrumentor is not None and bool(instrumentor.is_instrumented_by_opentelemetry)


@cache
def _instrumentor(name: str) -> Any:
    found = _instrumentors().get(name)
    try:
        return found.load()() if found else None
    except Exception:  # noqa: BLE001  whatever keeps it from being loaded keeps it from tracing
        return None


@cache
def _instrumentors() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415  it takes longer than all else of this together

    return {found.name: found for found in entry_points(group=_GROUP)}


def _is_disabled(name: str) -> bool:
    disabled = {one.strip() for one in os.environ.get(_DISABLED, "").split(",")}
    return name in disabled or "*" in disabled
