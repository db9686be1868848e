"""Running what takes messages: in threads, and in processes that end with the one that started them."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Final

from detour.envoy import tied_to_parent

IS_SHARED: Final = os.environ["QUEUE"] == os.environ["HANDLERS"]
"""Whether this process takes the messages of other services, which send them in one way only."""

TICK: Final = f"tick-{os.environ['DETOUR_SDK']}"
"""The number of a message that belongs to no request."""


def in_threads(*consumers: Callable[[], None]) -> None:
    """Run each in a thread of its own, which ends with the process."""
    for consumer in consumers:
        threading.Thread(target=consumer, daemon=True).start()


def in_process(*arguments: str) -> None:
    """Run a Python program beside this one."""
    subprocess.Popen(tied_to_parent([sys.executable, *arguments]), stdin=subprocess.DEVNULL)
