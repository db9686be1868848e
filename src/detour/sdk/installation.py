"""Sets up the propagation of overrides, once, at the start of a service.

Invariant: a library is patched when the service imports it, not before. A failure is reported, and leaves the
service unchanged.
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
    """Make overrides travel through this service, whatever libraries it uses, and apply those for the service.

    Call it first, after the set-up of OpenTelemetry's own SDK, if there is one; or run the service with
    `opentelemetry-instrument`, which calls it. Further calls have no effect.

    When the service imports a library, OpenTelemetry's instrumentation of it is enabled, unless it already is, or
    is listed in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`. Libraries that lose overrides are reported.

    Args:
        service_name: The service's name in the mesh, for `override.log.<service>` and `override.db.<service>`;
            by default `OTEL_SERVICE_NAME`, or `service.name` in `OTEL_RESOURCE_ATTRIBUTES`.
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
    from wrapt import register_post_import_hook  # noqa: PLC0415  only needed by services that install the SDK

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
        "overrides are lost in %s, which Detour does not support: pass them on with detour.sdk.carried() and "
        "under_carried(), see docs/sdk.md",
        name,
    )


def _mend(library: Library, module: Any) -> None:
    import_module(f"detour.sdk.mends.{library.mend}").mend(module)


def _attempt(library: Library, step: Callable[[], None]) -> None:
    try:
        step()
    except Exception:  # a service must start even if patching a library fails
        _logger.exception("overrides may be lost in %s", library.name)


def instrument(name: str) -> None:
    """Enable one of OpenTelemetry's instrumentations, unless it is enabled."""
    found = None if _is_disabled(name) else _instrumentors().get(name)
    if found is None:
        return
    instrumentor = found.load()()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()


def is_on(name: str) -> bool:
    """Return whether one of OpenTelemetry's instrumentations is enabled."""
    instrumentor = None if _is_disabled(name) else _instrumentor(name)
    return instrumentor is not None and bool(instrumentor.is_instrumented_by_opentelemetry)


@cache
def _instrumentor(name: str) -> Any:
    found = _instrumentors().get(name)
    try:
        return found.load()() if found else None
    except Exception:  # noqa: BLE001  an instrumentation that cannot be loaded cannot trace either
        return None


@cache
def _instrumentors() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415  slower to import than everything else here

    return {found.name: found for found in entry_points(group=_GROUP)}


def _is_disabled(name: str) -> bool:
    disabled = {one.strip() for one in os.environ.get(_DISABLED, "").split(",")}
    return name in disabled or "*" in disabled
