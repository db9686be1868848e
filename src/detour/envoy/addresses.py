"""Addresses, endpoints and listeners, as plain data in Envoy's JSON form."""

from detour.envoy.connection_manager import Json


def socket_address(address: str, port: int) -> Json:
    """Return a TCP address."""
    return {"socket_address": {"address": address, "port_value": port}}


def single_endpoint(cluster: str, address: str, port: int) -> Json:
    """Return the load assignment of a cluster with one endpoint."""
    endpoint = {"endpoint": {"address": socket_address(address, port)}}
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]}


def listener(name: str, address: str, port: int, http: Json) -> Json:
    """Return a listener with one network filter, such as a connection manager."""
    return {
        "name": name,
        "address": socket_address(address, port),
        # With SO_REUSEPORT, another Envoy could listen on the same port and receive some of the connections.
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [http]}],
    }
