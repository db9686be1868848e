"""The test kubelet's process: `python -m kubernetes.cluster.kubelet SETTINGS`, JSON that `Cluster` writes."""

import asyncio
import json
import sys
from pathlib import Path

from kubernetes.cluster.runtime import linux

from .containers import Runtime
from .kubelet import Kubelet, Settings


def _apart(folder: Path) -> None:
    """Make `folder` a file system in memory that this process and its own alone see, and that goes with them."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", str(folder), "tmpfs", data="mode=755")


def main() -> None:
    """Run until killed."""
    settings = Settings.read(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    settings.folder.mkdir(parents=True, exist_ok=True)
    _apart(settings.folder)
    asyncio.run(Kubelet(settings, Runtime()).run())


main()
