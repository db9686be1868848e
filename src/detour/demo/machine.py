"""Checks which of the demo's services can run on this machine."""

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
    """Return the services that cannot run here, each with the reason; builds those that need a build."""
    reasons = {one.name: _why_not(one) for one in topology}
    return {name: why for name, why in reasons.items() if why}


def _why_not(service: Service) -> str:
    if service.needs and shutil.which(service.needs) is None:
        return f"{service.needs} is not installed"
    return "" if service.language == PYTHON else _unbuilt(service.language)


@cache
def _unbuilt(language: str) -> str:
    """Build the demo's services of a language, if needed; return the reason if that fails, else an empty text."""
    script = _SETUP / _SCRIPTS[language]
    if not script.exists():
        return f"it can only be built in Detour's source folder, with the SDK for {language}"
    ran = subprocess.run([script, folder(language)], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    lines = ran.stderr.strip().splitlines() or ["the build failed without a message"]
    return lines[-1].removeprefix("Detour: ") if ran.returncode else ""


def folder(language: str) -> Path:
    """Return the folder of the demo's services of a language."""
    return _HERE / language.lower()
