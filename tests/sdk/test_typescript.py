"""The SDK for TypeScript: its own tests, where Node.js is."""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from propagation.brokers import Broker
from propagation.brokers.jvm import ELASTICMQ
from propagation.brokers.packaged import RABBITMQ
from propagation.toolchains import TOOLCHAINS

SDK = Path(__file__).parents[2] / "sdk" / "typescript"


@pytest.fixture(autouse=True)
def built() -> None:
    """Build it, as for publishing."""
    if missing := TOOLCHAINS["TypeScript"].why_not():
        pytest.skip(missing)


def run(broker: Broker, folder: Path, *tests: str) -> None:
    """Run tests by Node's own runner, with a broker where there is one; else those that need it are left out."""
    with ExitStack() as running:
        found = {} if broker.why_not() else running.enter_context(broker.running(folder))
        command = ["node", "--no-warnings", "--test", *tests]
        environment = {**os.environ, **found}
        ran = subprocess.run(
            command, cwd=SDK, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]


def test_its_own_tests_pass(tmp_path: Path) -> None:
    """RabbitMQ is real; SQS is a stand-in here."""
    subprocess.run(["npx", "tsc"], cwd=SDK, check=True, timeout=120)
    run(RABBITMQ, tmp_path, "dist/test/")


@pytest.mark.more
def test_sqs_is_real_where_it_can_be_had(tmp_path: Path) -> None:
    """ElasticMQ speaks it."""
    if missing := ELASTICMQ.why_not():
        pytest.skip(missing)
    subprocess.run(["npx", "tsc"], cwd=SDK, check=True, timeout=120)
    run(ELASTICMQ, tmp_path, "dist/test/sqs.test.js")
