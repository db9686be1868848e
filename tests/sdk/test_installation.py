"""Setting up: what is switched on when, and what is told where something is missing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def python() -> Python:
    """Return what runs a program in a fresh interpreter: setting up is for good."""

    def run(program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def said(python: Python, program: str, **environment: str) -> object:
    """Return what a program prints, as JSON."""
    ran = python(program, **environment)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_importing_it_imports_next_to_nothing(python: Python) -> None:
    """OpenTelemetry's API and the standard library: no instrumentation, no library."""
    program = """
import json, sys
import opentelemetry.baggage, opentelemetry.propagate, opentelemetry.trace, logging, json.decoder
before = set(sys.modules)
import detour.sdk
roots = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(json.dumps([sorted(roots), any("instrumentation" in name for name in sys.modules)]))
"""
    assert said(python, program) == [["detour"], False]


def test_installing_imports_no_library(python: Python) -> None:
    """Each is touched when the service imports it."""
    program = """
import json, sys
import detour.sdk
detour.sdk.install()
print(json.dumps(sorted({"flask", "requests", "grpc", "gevent", "greenlet", "kafka"} & set(sys.modules))))
"""
    assert said(python, program) == []


@pytest.mark.parametrize("order", ["before", "behind"])
def test_a_library_may_be_imported_before_or_behind(python: Python, order: str) -> None:
    """A client that is instrumented carries the overrides."""
    program = """
import json
import detour.sdk
from detour.sdk import using
{before}
detour.sdk.install()
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
print(json.dumps(RequestsInstrumentor().is_instrumented_by_opentelemetry))
"""
    assert said(python, program.format(before="import requests" if order == "before" else "")) is True


def test_installing_again_does_no_more(python: Python) -> None:
    """Nothing is wrapped twice."""
    program = """
import json
import detour.sdk
detour.sdk.install(); detour.sdk.install()
from opentelemetry.propagate import get_global_textmap
import threading
behind = type(get_global_textmap().others).__name__
print(json.dumps([behind, hasattr(threading.Thread.run.__wrapped__, "__wrapped__")]))
"""
    assert said(python, program) == ["CompositePropagator", False]


def test_a_propagator_that_was_set_behind_is_put_in_front_of_again(python: Python) -> None:
    """A service that sets up OpenTelemetry later calls it again."""
    program = """
import json
import detour.sdk
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
detour.sdk.install()
set_global_textmap(TraceContextTextMapPropagator())
detour.sdk.install()
print(json.dumps(sorted(get_global_textmap().fields)))
"""
    assert said(python, program) == ["baggage", "traceparent", "tracestate", "x-ot-span-context"]


@pytest.mark.parametrize("disabled", ["flask, requests", "*"])
def test_what_is_disabled_stays_off(python: Python, disabled: str) -> None:
    """By the variable that OpenTelemetry has for it: nothing is traced."""
    program = """
import json
import detour.sdk
detour.sdk.install()
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
print(json.dumps(RequestsInstrumentor().is_instrumented_by_opentelemetry))
"""
    assert said(python, program, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled) is False


def test_a_library_that_loses_overrides_is_reported(python: Python, tmp_path: Path) -> None:
    """With what to do. What is carried without instrumentation needs none."""
    for name in ("treq", "pycurl"):
        module = tmp_path / f"{name}.py"
        module.parent.mkdir(exist_ok=True)
        module.touch()
    program = """
import logging
logging.basicConfig(format="%(message)s")
from detour.sdk import installation
installation._instrumentors = lambda: {}
installation.install()
import flask, requests, celery, urllib.request, tornado.web, treq, pycurl
"""
    ran = python(program, PYTHONPATH=str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    unknown = "pass them on with detour.sdk.carried() and under_carried(), see docs/sdk.md"
    assert ran.stderr.splitlines() == [
        f"overrides are lost in treq, which Detour does not support: {unknown}",
        f"overrides are lost in pycurl, which Detour does not support: {unknown}",
    ]


def test_a_mend_that_fails_is_told_and_the_service_works_on(python: Python) -> None:
    """Another version of a library may have moved what is mended."""
    program = """
import logging
logging.basicConfig()
import detour.sdk
import detour.sdk.mends.aiohttp_server as mends
mends.wrap_function_wrapper = None
detour.sdk.install()
from aiohttp import web
web.Application()
"""
    ran = python(program)
    assert ran.returncode == 0
    assert "overrides may be lost in aiohttp-server" in ran.stderr


def test_opentelemetrys_own_command_installs_it() -> None:
    """So that no code need change."""
    program = "from opentelemetry.propagate import get_global_textmap; print(sorted(get_global_textmap().fields))"
    ran = subprocess.run(
        [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "-c", program],
        env={f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "x-ot-span-context" in ran.stdout, ran.stderr[-2000:]


def test_the_services_name_is_opentelemetrys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variable, else the attribute of its resource."""
    from detour.sdk import service

    monkeypatch.setattr(service, "_given", [])
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=rides, service.name=users%2Dapi")
    assert service.name() == "users-api"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "users")
    assert service.name() == "users"
    service.set_name("payments")
    assert service.name() == "payments"
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES")
    service._given.clear()
    assert service.name() == ""
