"""The demo: a small ride-hailing mesh of real services behind real Envoys, and requests that show what Detour does.

Invariant: services do not know about Detour; each is an ordinary program, instrumented with OpenTelemetry.
"""

import asyncio
from collections.abc import Sequence

from detour.demo.topology import REGISTRATIONS, Registration

__all__ = ["run"]


def run(once: bool, registrations: Sequence[Registration] = REGISTRATIONS) -> int:
    """Run the demo; on return, all its processes have ended.

    Args:
        once: Whether to end after the story, instead of staying up until SIGINT or SIGTERM.
        registrations: The offloaded deployments to register, including those of the story.

    Returns:
        The exit status: 0 if the expected instance served every hop, 1 if not, 130 if interrupted before the end of
        the story.

    Raises:
        RuntimeError: A part of the mesh did not start.
        OSError: Ports or files are not available.
    """
    # Imported here because each instance of a service imports this package, without the libraries of the story.
    from detour.demo.show import show  # noqa: PLC0415

    return asyncio.run(show(once, registrations))
