"""The real cluster of the session, and a namespace of its own for each test."""

from collections.abc import Iterator

import pytest

from kubernetes.cluster import Cluster, node


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
def namespace(cluster: Cluster) -> Iterator[str]:
    """Give a fresh namespace; its pods and its content are removed after the test."""
    with cluster.namespace() as name:
        yield name
