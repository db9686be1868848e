"""The protocols that ports declare, name by name."""

import pytest

from detour.discovery.kubernetes.objects import ServicePort
from detour.discovery.kubernetes.protocols import protocol_of

READ = {
    "http": "http1",
    "ws": "http1",
    "kubernetes.io/ws": "http1",
    "http2": "http2",
    "h2c": "http2",
    "kubernetes.io/h2c": "http2",
    "grpc": "http2",
    "grpc-web": "http1",
}

NOT_HTTP = [
    *("https", "tls", "ssl", "wss", "tcp"),
    *("mongo", "mongodb", "mysql", "mariadb", "mssql", "postgres", "postgresql", "redis", "valkey"),
    *("cassandra", "cql", "memcache", "memcached", "zookeeper"),
    *("amqp", "amqps", "rabbitmq", "kafka", "nats", "mqtt", "mqtts"),
    *("ldap", "ldaps", "smtp", "smtps", "imap", "ftp", "ssh"),
]

OTHER_PORTS = [
    *(21, 22, 25, 110, 143, 389, 443, 465, 587, 636, 993, 995, 1433, 1521, 1883, 2181, 3306, 4222, 5432, 5671),
    *(5672, 6379, 8443, 8883, 9042, 9092, 11211, 27017),
]


@pytest.mark.parametrize("name", READ)
def test_protocols_that_sidecars_read(name: str) -> None:
    """As `appProtocol` and as the name of a port, in any case of letters, on any port."""
    assert protocol_of(ServicePort(443, "redis", app_protocol=name)) == READ[name]
    assert protocol_of(ServicePort(443, app_protocol=name.upper())) == READ[name]
    assert protocol_of(ServicePort(443, name)) == protocol_of(ServicePort(443, name.upper())) == READ[name]
    if name.isalnum():
        assert protocol_of(ServicePort(443, f"{name}-users-2")) == READ[name]


@pytest.mark.parametrize("name", NOT_HTTP)
def test_protocols_that_are_not_http(name: str) -> None:
    """They pass as bytes, on any port."""
    assert protocol_of(ServicePort(80, "http", app_protocol=name)) == "tcp"
    assert protocol_of(ServicePort(80, name)) == protocol_of(ServicePort(80, name.upper())) == "tcp"
    if name != "tcp":
        assert protocol_of(ServicePort(80, f"{name}-users-2")) == "tcp"
        assert protocol_of(ServicePort(80, f"tcp-{name}")) == "tcp"


@pytest.mark.parametrize(
    "name", ["", "web", "users", "tcp-service", "tcp-", "redisx", "my-redis", "httpd", "http3-a"]
)
def test_names_that_declare_nothing(name: str) -> None:
    """The protocol is that of the connection, except on ports of other protocols."""
    assert protocol_of(ServicePort(80, name)) == "auto"
    assert protocol_of(ServicePort(5432, name)) == "tcp"


def test_ports_of_other_protocols() -> None:
    """Written out by hand."""
    assert [port for port in range(1, 65536) if protocol_of(ServicePort(port)) == "tcp"] == OTHER_PORTS


def test_an_unknown_protocol_of_an_application_is_bytes() -> None:
    """Kubernetes, "Application protocol"; an empty one declares nothing."""
    assert protocol_of(ServicePort(80, "http", app_protocol="example.com/own")) == "tcp"
    assert protocol_of(ServicePort(80, "http", app_protocol="")) == "http1"
