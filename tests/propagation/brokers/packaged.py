"""Brokers that Debian has: Redis and RabbitMQ."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ports import free_port
from propagation.brokers.broker import Broker, accepts, process

_RABBITMQ: Final = Path("/usr/lib/rabbitmq/lib")


def _redis_missing() -> str:
    return "" if shutil.which("redis-server") else "Redis: no redis-server on this machine"


@contextmanager
def _redis(folder: Path) -> Iterator[Mapping[str, str]]:
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with process(command, folder, {}, lambda: accepts(port)):
        yield {"REDIS_URL": f"redis://127.0.0.1:{port}"}


def _rabbitmq_missing() -> str:
    return "" if _rabbitmq_program() else "RabbitMQ: no rabbitmq-server on this machine"


def _rabbitmq_program() -> Path | None:
    """Return the server's own script: the one on the PATH changes to a user and folders of the system's."""
    return next(_RABBITMQ.glob("rabbitmq_server-*/sbin/rabbitmq-server"), None)


@contextmanager
def _rabbitmq(folder: Path) -> Iterator[Mapping[str, str]]:
    program = _rabbitmq_program()
    assert program
    port, names = free_port(), free_port()
    (folder / "enabled_plugins").write_text("[].")
    environment = {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"detour-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
    }
    # The daemon that knows Erlang's nodes by name: one that Erlang starts itself would outlive it.
    (folder / "names").mkdir()
    with (
        process(["epmd", "-port", str(names)], folder / "names", environment, lambda: accepts(names)),
        process([str(program)], folder, environment, lambda: _speaks_amqp(port)),
    ):
        yield {"AMQP_URL": f"amqp://guest:guest@127.0.0.1:{port}/"}


def _speaks_amqp(port: int) -> bool:
    import pika
    from pika.exceptions import AMQPError

    if not accepts(port):
        return False
    try:
        pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port)).close()
    except (AMQPError, OSError):
        return False
    return True


REDIS: Final = Broker("Redis", _redis_missing, _redis, is_packaged=True)
RABBITMQ: Final = Broker("RabbitMQ", _rabbitmq_missing, _rabbitmq, is_packaged=True)
