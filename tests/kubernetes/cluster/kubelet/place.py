"""What the containers of one pod share, and what every container has mounted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from .api import Json
from .containers import Process, Runtime
from .events import Events
from .sources import Sources
from .volumes import Volumes


@dataclass
class Place:
    """What the containers of one pod share."""

    pod: Json
    folder: Path
    logs: Path
    address: str
    sandbox: Process
    volumes: Volumes
    runtime: Runtime
    registry: Path
    sources: Sources
    events: Events
    http: httpx.AsyncClient
    services: Callable[[], dict[str, str]]
    changed: Callable[[], None]


def common_mounts(folder: Path, message: Path, spec: Json) -> list[Json]:
    """Return the mounts that every container has: names, name servers, its last message."""
    own = {
        "/etc/hosts": folder / "hosts",
        "/etc/resolv.conf": folder / "resolv.conf",
        "/etc/hostname": folder / "hostname",
        spec.get("terminationMessagePath", "/dev/termination-log"): message,
    }
    return [{"source": str(source), "target": target, "read_only": False} for target, source in own.items()]
