"""Detour's chart, rendered by Helm."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/detour"


def chart(*options: str) -> list[dict[str, Any]]:
    """Render the chart."""
    command = [helm(), "template", "detour", str(CHART), "--namespace", "detour", *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [one for one in yaml.safe_load_all(text) if one]


def helm() -> str:
    """Return Helm's path."""
    tools = ROOT / "tests/kubernetes/tools/helm/build.sh"
    return subprocess.run([tools], capture_output=True, text=True, check=True).stdout.strip() + "/helm"
