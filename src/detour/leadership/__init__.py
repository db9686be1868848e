"""Leader election among the replicas of the server, with a Kubernetes Lease.

Compatible with client-go's leader election (`k8s.io/client-go/tools/leaderelection`): candidates of both can share
a Lease.
"""

from detour.leadership.candidate import Timing
from detour.leadership.contest import lead
from detour.leadership.lease import LeaseName

__all__ = ["LeaseName", "Timing", "lead"]
