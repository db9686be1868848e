"""Keeps the bootstraps of this version, for the tests of the next one: run it once before each release.

    .venv/bin/python tests/upgrades/keep_bootstraps.py

Ports are those of `PORTS`; a test replaces them by free ones.
"""

import json
from pathlib import Path
from typing import Final

from detour import __version__
from detour.envoy.bootstrap import Edge, Sidecar, edge_bootstrap, sidecar_bootstrap

BOOTSTRAPS: Final = Path(__file__).with_name("bootstraps")
PORTS: Final = {"app": 61001, "outbound": 61002, "inbound": 61003, "admin": 61004, "control plane": 61005}


def keep(folder: Path) -> None:
    """Write the bootstrap of a sidecar and that of an edge."""
    control_plane = f"127.0.0.1:{PORTS['control plane']}"
    sidecar = Sidecar(
        service="caller",
        instance="caller-1",
        app_port=PORTS["app"],
        outbound_port=PORTS["outbound"],
        inbound_port=PORTS["inbound"],
        admin_port=PORTS["admin"],
        control_plane=control_plane,
    )
    edge = Edge(
        name="edge-1",
        listen=f"127.0.0.1:{PORTS['inbound']}",
        admin_port=PORTS["admin"],
        control_plane=control_plane,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, bootstrap in (("sidecar", sidecar_bootstrap(sidecar)), ("edge", edge_bootstrap(edge))):
        (folder / f"{name}.json").write_text(json.dumps(bootstrap, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    keep(BOOTSTRAPS / __version__)
