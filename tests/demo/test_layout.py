import socket

import yaml

from detour.demo.layout import choose
from detour.demo.ports import free_ports, is_free
from detour.demo.topology import INSTANCES
from detour.discovery.mesh_file import parse
from detour.mesh import Protocol


def test_every_listener_has_a_port_of_its_own():
    """No two parts of the mesh are told to listen on one port."""
    layout = choose()
    ports = [layout.xds, layout.api, layout.edge, layout.edge_admin]
    for one in layout.instances.values():
        ports += [one.app, one.inbound, one.outbound, one.admin]
    assert len(set(ports)) == len(ports)


def test_the_mesh_file_holds_the_baseline_behind_its_sidecars(tmp_path):
    """The control plane reads it, and finds each baseline instance at its sidecar's inbound port, and no other."""
    layout = choose()
    file = tmp_path / "mesh.yaml"
    mesh = parse(yaml.safe_dump(layout.mesh_file()).encode(), file)
    found = {str(endpoint) for service in mesh.services.values() for endpoint in service.endpoints}
    assert found == {layout.endpoint(one.name) for one in INSTANCES if not one.deployment}
    assert mesh.services["drivers"].protocol is Protocol.HTTP2
    assert not mesh.deployments
    assert mesh.settings.edge_hosts == {"*": "web"}


def test_a_port_in_use_is_not_free():
    """A port with a listener is seen as taken, and as free again when the listener is gone."""
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
    assert is_free(port)
