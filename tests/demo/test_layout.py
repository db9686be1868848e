import pytest
import yaml

from detour.demo.layout import choose
from detour.demo.ports import Ports
from detour.demo.topology import QUEUE, WHOLE
from detour.discovery.mesh_file import parse
from detour.mesh import Protocol


@pytest.fixture
def layout():
    """Return a layout whose ports stay claimed."""
    with Ports() as ports:
        yield choose(ports, WHOLE)


def ports_of(layout):
    """List every port of a layout."""
    instances = layout.instances.values()
    by_instance = [port for one in instances for port in (one.app, one.inbound, one.outbound, one.admin)]
    return [layout.xds, layout.api, layout.edge, layout.edge_admin, layout.broker, *by_instance]


def test_every_listener_has_a_port_of_its_own(layout):
    """No two parts of a mesh are told to listen on one port, nor parts of two meshes that come up at once."""
    with Ports() as ports:
        taken = ports_of(layout) + ports_of(choose(ports, WHOLE))
    assert len(set(taken)) == len(taken)


def test_the_mesh_file_holds_the_baseline_behind_its_sidecars(layout, tmp_path):
    """The control plane reads it, and finds each baseline instance at its sidecar's inbound port, and no other."""
    mesh = parse(yaml.safe_dump(layout.mesh_file()).encode(), tmp_path / "mesh.yaml")
    found = {str(endpoint) for service in mesh.services.values() for endpoint in service.endpoints}
    called = {one.name for one in WHOLE if one.scheme != QUEUE}
    baseline = [one for one in WHOLE.instances if one.service in called and not one.deployment]
    assert found == {layout.endpoint(one.name) for one in baseline}
    assert set(mesh.services) == called
    assert mesh.services["drivers"].protocol is Protocol.HTTP2
    assert not mesh.deployments
    assert mesh.settings.edge_hosts == {"*": "web"}
    assert mesh.settings.edge_url == layout.edge_url
