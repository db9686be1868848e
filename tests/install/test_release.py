"""The release workflow, as far as it can be run without publishing: it fits the project."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from detour import __version__

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


SCRIPT = ROOT / "deploy/release/release.sh"


def parts() -> dict[str, dict[str, Any]]:
    """Return what each job publishes, and the job."""
    return {
        step["env"]["WHAT"]: job
        for job in JOBS.values()
        for step in job["steps"]
        if step.get("run") == "make release"
    }


@pytest.mark.parametrize(("tag", "agrees"), [(f"v{__version__}", True), ("v99.0.0", False)])
def test_a_tag_must_agree_with_all_versions(tag: str, agrees: bool, tmp_path: Path) -> None:
    """Of the packages and of the chart; otherwise nothing is published."""
    output = tmp_path / "output"
    output.touch()
    known = {"GITHUB_REF_NAME": tag, "GITHUB_OUTPUT": str(output), "PATH": "/usr/bin:/bin", "WHAT": "check"}
    done = subprocess.run([SCRIPT], env=known, capture_output=True, text=True, check=False)
    assert (done.returncode == 0, output.read_text()) == (agrees, f"version={__version__}\n" if agrees else "")
    assert agrees or "has another version than 99.0.0" in done.stderr
    assert all(job["needs"] for name, job in JOBS.items() if name != "version")


def test_every_part_is_published_by_a_job() -> None:
    """And the script knows no other."""
    assert parts().keys() == {"check", "image", "index", "chart", "python", "npm", "go"}
    known = {"GITHUB_REF_NAME": "v1.0.0", "PATH": "/usr/bin:/bin", "WHAT": "cake"}
    done = subprocess.run([SCRIPT], env=known, capture_output=True, text=True, check=False)
    assert (done.returncode, "not " + ", ".join(parts().keys()).replace(", go", " or go") in done.stderr) == (
        2,
        True,
    )


def test_the_published_chart_uses_the_published_image() -> None:
    """The line that the script changes exists, once."""
    changed = re.search(r"sed -i \"s\|(.*?)\|", SCRIPT.read_text())
    assert changed
    values = (ROOT / "deploy/helm/detour/values.yaml").read_text()
    assert len(re.findall(changed[1], values, re.MULTILINE)) == 1


def test_every_artifact_has_a_provenance() -> None:
    """Of the image's architectures, their index has it. Each job has only the permissions that it needs."""
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for what, job in parts().items():
        attested = "attest-build-provenance" in str(job["steps"])
        assert attested == (what not in {"check", "image", "npm"})
        assert ("id-token" in job.get("permissions", {})) == (attested or what == "npm")
    assert "npm publish --provenance" in SCRIPT.read_text()
    assert parts()["image"]["strategy"]["matrix"]["machine"] == ["ubuntu-24.04", "ubuntu-24.04-arm"]


def test_the_images_base_is_pinned() -> None:
    """By its digest, for both of its stages."""
    lines = (ROOT / "deploy/image/Dockerfile").read_text().splitlines()
    (base,) = [line for line in lines if line.startswith("ARG BASE=")]
    assert re.fullmatch(r"ARG BASE=[a-z0-9.:-]+@sha256:[0-9a-f]{64}", base)
    assert [line.split()[1] for line in lines if line.startswith("FROM ")] == ["${BASE}", "${BASE}"]
