"""The real cluster of the session, and a namespace of its own for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from detour.kubernetes.api import Api
from detour.kubernetes.config import cluster_config
from kubernetes.cluster import Cluster, node


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Forgive a connection that nobody closed.

    httpcore leaves one open whose TLS handshake is cancelled (`AnyIOStream.start_tls` expects exceptions alone), as
    the end of a test may do; whichever test runs when it is collected would fail.
    """
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed (transport|<socket):ResourceWarning"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run the cluster; the test process is in its node from here on (see `kubernetes.cluster`)."""
    with node.entered():
        running = Cluster(tmp_path_factory.mktemp("cluster"))
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    """Connect as the admin, by Detour's own client."""
    api = Api(cluster_config(str(cluster.kubeconfig)))
    yield api
    await api.close()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Give a fresh namespace; its pods and its content are removed after the test."""
    with cluster.namespace() as name:
        yield name
