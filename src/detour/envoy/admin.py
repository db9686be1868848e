"""Envoy's admin interface, as plain data in Envoy's JSON form.

Envoy's own admin port would let every client that reaches it stop Envoy (`POST /quitquitquit`) and read its
configuration. That includes any web page, because browsers send such a POST to loopback. The admin interface is
therefore a Unix socket, which neither browsers nor requests in the mesh can reach, with an ordinary listener in
front.

Invariant: clients of the port can neither change anything nor read the configuration. It answers only GET, only for
a few paths, and only if the Host is this machine. The last rule prevents DNS rebinding, where a page lets its own
name resolve to loopback.
"""

from typing import Final

from detour.envoy.connection_manager import Json, connection_manager

READABLE: Final = ("/ready", "/stats", "/stats/prometheus", "/server_info", "/memory")
"""Read-only paths that reveal nothing about the mesh."""

CLUSTER: Final = "@admin"
"""A cluster name that no request can produce."""

_MODE: Final = 0o600
_HOSTS: Final = ["127.0.0.1", "localhost"]


def admin_socket(path: str, port: int) -> str:
    """Return the path of the Unix socket in Envoy's notation.

    Args:
        path: Its path in the file system. Empty means an abstract socket (unix(7), "Abstract sockets"), whose name
            begins with `@`. It needs no folder, but has no owner either.
        port: The admin port, which distinguishes the Envoys of one network namespace.
    """
    return path or f"@detour-admin-{port}"


def admin(path: str, port: int) -> Json:
    """Return the bootstrap's `admin`. Only a socket with a file, which has an owner, serves the full interface."""
    at = admin_socket(path, port)
    if path:
        return {"address": {"pipe": {"path": at, "mode": _MODE}}}
    readable = "|".join(READABLE)
    # Envoy's path allow list compares the query string, too.
    return {"address": {"pipe": {"path": at}}, "allow_paths": [{"safe_regex": {"regex": rf"({readable})(\?.*)?"}}]}


def admin_cluster(path: str, port: int) -> Json:
    """Return the cluster that connects the port to the socket."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": admin_socket(path, port)}}}}
    return {
        "name": CLUSTER,
        "alt_stat_name": "admin",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def admin_filter() -> Json:
    """Return the network filter of the port's listener."""
    is_get = {"name": ":method", "string_match": {"exact": "GET"}}
    readable = [
        {"match": {"path": path, "headers": [is_get]}, "route": {"cluster": CLUSTER, "timeout": "30s"}}
        for path in READABLE
    ]
    hosts = [
        {"name": "admin", "domains": _HOSTS, "routes": [*readable, _refused()]},
        {"name": "others", "domains": ["*"], "routes": [_refused()]},
    ]
    routes = {"name": "admin", "ignore_port_in_host_matching": True, "virtual_hosts": hosts}
    return connection_manager("admin-port", [], route_config=routes)


def _refused() -> Json:
    words = (
        f"this port answers only GET {', '.join(READABLE)}, for the hosts {' and '.join(_HOSTS)}."
        " Envoy's full admin interface is on the Unix socket that --admin-socket sets."
    )
    answer = {"status": 403, "body": {"inline_string": f"Detour: {words}\n"}}
    return {"match": {"prefix": "/"}, "direct_response": answer}
