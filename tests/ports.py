"""Ports for programs that are about to start."""

import atexit
from typing import Final

from detour.demo.ports import Ports

_ports: Final = Ports()
atexit.register(_ports.__exit__)


def free_port() -> int:
    """Return a port that nothing listens on, and that no process that runs tests gets a second time."""
    return _ports.take()
