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
_UNREADABLE: Final = frozenset({"https", "tls", "tcp", "mongo", "mysql", "postgres", "postgresql", "redis", "amqp"})
_TLS: Final = frozenset({443, 8443})


def protocol_of(port: ServicePort) -> Protocol:
    """Return a port's protocol: its `appProtocol` decides, then the first word of its name, as in `grpc-users`.

    Without either it is HTTP/1.1, except for the ports of HTTPS. Sidecars forward an `appProtocol` that is not HTTP
    as plain TCP (Kubernetes, "Application protocol"; names follow the convention of service meshes).
    """
    if port.app_protocol:
        return _BY_NAME.get(port.app_protocol.lower(), Protocol.TCP)
    name = port.name.lower()
    for word in (name, name.partition("-")[0]):
        if word in _BY_NAME:
            return _BY_NAME[word]
        if word in _UNREADABLE:
            return Protocol.TCP
    return Protocol.TCP if port.port in _TLS else Protocol.HTTP1
