"""A small ride-hailing mesh of real services behind real Envoys, and the story that it tells of Detour.

Invariant: a service knows nothing of Detour; each is an ordinary program, instrumented with OpenTelemetry.
"""

import asyncio
from collections.abc import Sequence

from detour.demo.topology import REGISTRATIONS, Registration

__all__ = ["run"]


def run(once: bool, registrations: Sequence[Registration] = REGISTRATIONS) -> int:
    """Show the demo, and leave no process behind.

    Args:
        once: Whether to end after the story, instead of staying up until SIGINT or SIGTERM.
        registrations: The offloaded deployments to register, those of the story among them.

    Returns:
        The exit status: 0 if every hop was served by the instance that it should be, 1 if not, 130 if interrupted
        before the end of the story.

    Raises:
        RuntimeError: A part of the mesh did not come up.
        OSError: Ports or files can't be had.
    """
    # Each instance of a service imports this package, and needs none of what the showing imports.
    from detour.demo.show import show  # noqa: PLC0415

    return asyncio.run(show(once, registrations))
