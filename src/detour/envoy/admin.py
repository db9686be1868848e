"""Envoy's admin interface, as plain data in Envoy's JSON form.

Envoy's own port would let everything that reaches it end Envoy (`POST /quitquitquit`) and read its configuration,
any web page included: browsers send such a POST to loopback. So the interface is a Unix socket, which neither a
browser nor a request of the mesh can reach, and the port is an ordinary listener in front of it.

Invariant: through the port nothing changes and no configuration is read. It answers GET alone, for a few paths
alone, and only to requests whose Host is this machine: a page that has its own name resolve to loopback (DNS
rebinding) reads nothing.
"""

from typing import Final

from detour.envoy.connection_manager import Json, connection_manager

READABLE: Final = ("/ready", "/stats", "/stats/prometheus", "/server_info", "/memory")
"""The paths that only read, and say nothing about the mesh."""

CLUSTER: Final = "@admin"
"""Nothing that a request says makes such a name."""

_MODE: Final = 0o600
_HOSTS: Final = ["127.0.0.1", "localhost"]


def admin_socket(path: str, port: int) -> str:
    """Return the path of the Unix socket as Envoy takes it.

    Args:
        path: Where it is in the file system. Empty stands for one that has no file (a name that begins with `@`,
            unix(7), "Abstract sockets"), which needs no folder, but has no owner either.
        port: The admin port, which tells the Envoys of one network namespace apart.
    """
    return path or f"@detour-admin-{port}"


def admin(path: str, port: int) -> Json:
    """Return the bootstrap's `admin`: everything on a socket that belongs to one user, on others what reads."""
    at = admin_socket(path, port)
    if path:
        return {"address": {"pipe": {"path": at, "mode": _MODE}}}
    readable = "|".join(READABLE)
    # Envoy compares the query, too.
    return {"address": {"pipe": {"path": at}}, "allow_paths": [{"safe_regex": {"regex": rf"({readable})(\?.*)?"}}]}


def admin_cluster(path: str, port: int) -> Json:
    """Return the cluster that leads from the port to the socket."""
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
        f"this port answers GET {', '.join(READABLE)} to requests for {' or '.join(_HOSTS)}, and nothing else."
        " Envoy's whole admin interface is on the Unix socket that --admin-socket names."
    )
    answer = {"status": 403, "body": {"inline_string": f"Detour: {words}\n"}}
    return {"match": {"prefix": "/"}, "direct_response": answer}
