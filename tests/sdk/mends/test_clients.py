"""Calls carry the overrides of the request in which they are made, whatever is traced, and no others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("calls.py")
TESTS = Path(__file__).parents[2]

SDK = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
"""
SUPPRESSED = "__import__('opentelemetry.instrumentation.utils').instrumentation.utils.suppress_instrumentation()"
EXCLUDED = {
    "OTEL_PYTHON_EXCLUDED_URLS": ".*",
    "OTEL_PYTHON_REQUESTS_EXCLUDED_URLS": ".*",
    "OTEL_PYTHON_AIOHTTP_CLIENT_EXCLUDED_URLS": ".*",
    "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES": "detour.test.Relay",
}
DISABLED = "requests,httpx,urllib,urllib3,aiohttp-client,grpc_client,grpc_aio_client,grpc_server,threading"


@pytest.mark.parametrize(
    ("before", "around", "variables"),
    [
        pytest.param("", "", {}, id="as it is"),
        pytest.param(SDK, "", {}, id="nothing is sampled"),
        pytest.param(SDK, SUPPRESSED, {}, id="suppressed"),
        pytest.param("", "", EXCLUDED, id="excluded"),
        pytest.param("", "", {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": DISABLED}, id="disabled"),
        pytest.param(
            SDK, "", {"OTEL_SDK_DISABLED": "true", "OTEL_PROPAGATORS": "none"}, id="no SDK, no propagators"
        ),
        pytest.param("", "", {"OTEL_PROPAGATORS": "tracecontext"}, id="no baggage"),
    ],
)
def test_a_call_carries_its_own_requests_overrides(before: str, around: str, variables: dict[str, str]) -> None:
    """Though all calls share a session, and some a prepared request."""
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), before, around],
        env={"PYTHONPATH": str(TESTS), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found == {name: ["override.route.users=pr-42", None, "override.route.users=pr-7"] for name in found}, (
        ran.stderr
    )
    assert len(found) == 14
