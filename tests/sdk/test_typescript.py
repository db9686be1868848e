"""The SDK for TypeScript: its own tests, where Node.js is."""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from propagation.brokers.packaged import RABBITMQ
from propagation.toolchains import TOOLCHAINS

SDK = Path(__file__).parents[2] / "sdk" / "typescript"


def test_its_own_tests_pass(tmp_path: Path) -> None:
    """Built as for publishing, and run by Node's test runner, with a real RabbitMQ where there is one."""
    if missing := TOOLCHAINS["TypeScript"].why_not():
        pytest.skip(missing)
    with ExitStack() as brokers:
        there = not RABBITMQ.why_not()
        found = brokers.enter_context(RABBITMQ.running(tmp_path)) if there else {}
        ran = subprocess.run(
            ["npm", "test"],
            cwd=SDK,
            env={**os.environ, **found},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
