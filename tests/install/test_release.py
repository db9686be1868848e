"""The release workflow, as far as it can be run without publishing: it fits the project."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from detour import __version__

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


def script(job: str, step: str) -> str:
    """Return the script of a step."""
    (found,) = [one["run"] for one in JOBS[job]["steps"] if one.get("id") == step]
    return str(found)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize(("tag", "agrees"), [(f"v{__version__}", True), ("v99.0.0", False)])
def test_a_tag_must_agree_with_all_versions(tag: str, agrees: bool, tmp_path: Path) -> None:
    """Of the packages and of the chart; otherwise nothing is published."""
    output = tmp_path / "output"
    output.touch()
    known = {"GITHUB_REF_NAME": tag, "GITHUB_OUTPUT": str(output), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", script("version", "version")], cwd=ROOT, env=known, check=False)
    assert (done.returncode == 0, output.read_text()) == (agrees, f"version={__version__}\n" if agrees else "")
    assert all("version" in JOBS[job]["needs"] for job in JOBS if job != "version")


def test_the_published_chart_uses_the_published_image() -> None:
    """The line that the workflow changes exists, once."""
    changed = re.search(r"s\|(.*?)\|", script("chart", "push"))
    assert changed
    values = (ROOT / "deploy/helm/detour/values.yaml").read_text()
    assert len(re.findall(changed[1], values, re.MULTILINE)) == 1


def test_every_artifact_has_a_provenance() -> None:
    """And each job only the permissions that it needs."""
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for name, job in JOBS.items():
        if name == "version":
            continue
        assert job["permissions"]["id-token"] == "write"
        text = str(job["steps"])
        assert "attest-build-provenance" in text or "--provenance" in text
    (image,) = [one["with"] for one in JOBS["image"]["steps"] if one.get("id") == "build"]
    assert image["platforms"] == "linux/amd64,linux/arm64"
    assert (ROOT / image["file"]).exists()


def test_the_images_base_is_pinned() -> None:
    """By its digest, for both of its stages."""
    lines = (ROOT / "deploy/image/Dockerfile").read_text().splitlines()
    (base,) = [line for line in lines if line.startswith("ARG BASE=")]
    assert re.fullmatch(r"ARG BASE=[a-z0-9.:-]+@sha256:[0-9a-f]{64}", base)
    assert [line.split()[1] for line in lines if line.startswith("FROM ")] == ["${BASE}", "${BASE}"]
