"""Brokers that Maven Central has: Kafka, and ElasticMQ, which speaks SQS."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from ports import free_port
from propagation.brokers.broker import Broker, accepts, process

_FETCH_SECONDS: Final = 600
_MEMORY: Final = ("-Xmx512m", "-XX:+UseSerialGC")


@cache
def _fetched(name: str) -> "subprocess.CompletedProcess[str]":
    script = Path(__file__).with_name("jars.sh")
    return subprocess.run([script, name], capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)


def _missing(shown: str, name: str) -> str:
    fetched = _fetched(name)
    last = (fetched.stderr.strip().splitlines() or ["it said nothing"])[-1].removeprefix("Detour: ")
    return f"{shown}: {last}" if fetched.returncode else ""


def _java(name: str) -> list[str]:
    return ["java", *_MEMORY, "-cp", f"{_fetched(name).stdout.strip()}/*"]


@contextmanager
def _kafka(folder: Path) -> Iterator[Mapping[str, str]]:
    port, controller = free_port(), free_port()
    settings = folder / "server.properties"
    options = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(folder / "data"),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "num.partitions": "1",
    }
    settings.write_text("".join(f"{name}={value}\n" for name, value in options.items()))
    java = [*_java("kafka")[:-2], "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *_java("kafka")[-2:]]
    identity = uuid4().hex[:22]
    subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", identity, "-c", str(settings)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    with process([*java, "kafka.Kafka", str(settings)], folder, {}, lambda: accepts(port)):
        yield {"KAFKA_BOOTSTRAP": f"127.0.0.1:{port}"}


@contextmanager
def _elasticmq(folder: Path) -> Iterator[Mapping[str, str]]:
    port = free_port()
    settings = folder / "elasticmq.conf"
    settings.write_text(
        'include classpath("application.conf")\n'
        f'node-address {{ host = "127.0.0.1", port = {port} }}\n'
        f'rest-sqs {{ enabled = true, bind-hostname = "127.0.0.1", bind-port = {port} }}\n'
        "rest-stats { enabled = false }\n"
    )
    command = [*_java("elasticmq")[:-2], f"-Dconfig.file={settings}", *_java("elasticmq")[-2:]]
    url = f"http://127.0.0.1:{port}"
    with process([*command, "org.elasticmq.server.Main"], folder, {}, partial(_answers, url)):
        yield {"SQS_ENDPOINT": url}


def _answers(url: str) -> bool:
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True  # it refuses what is no request of SQS
    except OSError:
        return False
    return True


KAFKA: Final = Broker("Kafka", partial(_missing, "Kafka", "kafka"), _kafka, is_packaged=False)
ELASTICMQ: Final = Broker("ElasticMQ", partial(_missing, "ElasticMQ", "elasticmq"), _elasticmq, is_packaged=False)
