"""The baseline is left alone, whatever offloaded deployments go through beside it."""

from contextlib import AsyncExitStack
from pathlib import Path

from bench.kubernetes.cluster import BenchCluster
from bench.kubernetes.isolation import withstand_cycles
from bench.mesh import bench_mesh

from kubernetes.cluster import Cluster

CYCLES = 30
LATE_SECONDS = 2
"""So long a pod whose labels change may be taken for what it was, on a machine that does much else."""


async def test_no_request_reaches_whom_it_was_not_for(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Under load, while copies and pods that the Service selects are made, rolled, crash, change labels and go."""
    async with bench_mesh() as mesh, AsyncExitStack() as stack:
        bench = BenchCluster(mesh, cluster, tmp_path, stack, namespace)
        await bench.make_node()
        witness = await withstand_cycles(bench, CYCLES)
    assert witness.leaked == []
    assert witness.misled == []
    assert witness.failed == {}
    assert max(role.late for role in witness.changes) < LATE_SECONDS
    assert witness.baseline > 10 * CYCLES
    assert witness.overridden > 10 * CYCLES
