"""One of several servers does what must be done once: the holder of a Lease.

Compatible with client-go's leader election (`k8s.io/client-go/tools/leaderelection`): its candidates and these
understand each other on one Lease.
"""

from detour.leadership.candidate import Timing
from detour.leadership.contest import lead
from detour.leadership.lease import LeaseName

__all__ = ["LeaseName", "Timing", "lead"]
