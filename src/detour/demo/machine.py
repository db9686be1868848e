"""What the machine has of what the demo's services need."""

import shutil
from collections.abc import Mapping

from detour.demo.topology import Topology


def left_out(topology: Topology) -> Mapping[str, str]:
    """Name the services that cannot run here, each with what is missing."""
    return {one.name: one.needs for one in topology if one.needs and shutil.which(one.needs) is None}
