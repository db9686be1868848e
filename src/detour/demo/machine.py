"""What the machine has of what the demo's services need."""

import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from detour.demo.topology import GO, PYTHON, TYPESCRIPT, Service, Topology

_HERE: Final = Path(__file__).parent
_SETUP: Final = _HERE.parents[2] / "setup"
_SCRIPTS: Final = {GO: "go.sh", TYPESCRIPT: "typescript.sh"}


def left_out(topology: Topology) -> Mapping[str, str]:
    """Name the services that cannot run here, each with why not. What can be built is built."""
    reasons = {one.name: _why_not(one) for one in topology}
    return {name: why for name, why in reasons.items() if why}


def _why_not(service: Service) -> str:
    if service.needs and shutil.which(service.needs) is None:
        return f"{service.needs} is not on this machine"
    return "" if service.language == PYTHON else _unbuilt(service.language)


@cache
def _unbuilt(language: str) -> str:
    """Build the demo's part in a language, unless that has been done; return why it can't be."""
    script = _SETUP / _SCRIPTS[language]
    if not script.exists():
        return f"it is built from the project's own folder, with the SDK for {language}"
    ran = subprocess.run([script, folder(language)], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    lines = ran.stderr.strip().splitlines() or ["it said nothing"]
    return lines[-1].removeprefix("Detour: ") if ran.returncode else ""


def folder(language: str) -> Path:
    """Return where the demo's part in a language lies."""
    return _HERE / language.lower()
