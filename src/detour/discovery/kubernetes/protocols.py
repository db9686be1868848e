"""The protocol of a Service's port."""

from typing import Final

from detour.discovery.kubernetes.objects import ServicePort
from detour.mesh import Protocol

_BY_NAME: Final = {
    "http": Protocol.HTTP1,
    "ws": Protocol.HTTP1,
    "kubernetes.io/ws": Protocol.HTTP1,
    "http2": Protocol.HTTP2,
    "h2c": Protocol.HTTP2,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "grpc": Protocol.HTTP2,
    "grpc-web": Protocol.HTTP1,
}
_TCP: Final = "tcp"
_UNREADABLE: Final = frozenset(
    {
        *("https", "tls", "ssl", "wss"),
        *("mongo", "mongodb", "mysql", "mariadb", "mssql", "postgres", "postgresql", "redis", "valkey"),
        *("cassandra", "cql", "memcache", "memcached", "zookeeper"),
        *("amqp", "amqps", "rabbitmq", "kafka", "nats", "mqtt", "mqtts"),
        *("ldap", "ldaps", "smtp", "smtps", "imap", "ftp", "ssh"),
    }
)
"""Names of protocols that are not HTTP in plain text."""

_WELL_KNOWN: Final = frozenset(
    {
        *(443, 8443),  # HTTPS
        *(21, 22, 25, 110, 143, 389, 465, 587, 636, 993, 995),  # FTP, SSH, mail, LDAP
        *(1433, 1521, 3306, 5432, 6379, 9042, 11211, 27017),  # databases and caches
        *(1883, 2181, 4222, 5671, 5672, 8883, 9092),  # queues
    }
)
"""Ports that belong to such protocols if nothing else is declared."""


def protocol_of(port: ServicePort) -> Protocol:
    """Return a port's protocol: its `appProtocol` decides, then the first word of its name, as in `grpc-users`.

    A port that declares neither is `auto`, except for well-known ports of other protocols. Sidecars forward an
    `appProtocol` that is not HTTP as plain TCP (Kubernetes, "Application protocol"; names follow the convention of
    service meshes). Every port is a TCP port, so a name such as `tcp-service` declares nothing; `tcp` alone does,
    and so does `tcp-redis`.
    """
    if port.app_protocol:
        return _BY_NAME.get(port.app_protocol.lower(), Protocol.TCP)
    name = port.name.lower()
    for word in (name, name.partition("-")[0]):
        if word in _BY_NAME:
            return _BY_NAME[word]
    if name == _TCP or name.removeprefix(f"{_TCP}-").partition("-")[0] in _UNREADABLE:
        return Protocol.TCP
    return Protocol.TCP if port.port in _WELL_KNOWN else Protocol.AUTO
