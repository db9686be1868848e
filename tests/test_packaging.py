"""What ships: complete metadata in every language, and only dependencies that are declared."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from trove_classifiers import classifiers

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SHIPPED = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]


def test_every_package_says_whose_it_is_and_where_it_lives() -> None:
    """In Python, in TypeScript, and the chart."""
    assert set(PROJECT["classifiers"]) <= classifiers
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} == set(PROJECT["urls"])
    package = json.loads((ROOT / "sdk/typescript/package.json").read_text())
    chart = yaml.safe_load((ROOT / "deploy/helm/detour/Chart.yaml").read_text())
    assert package["homepage"] == chart["home"] == PROJECT["urls"]["Homepage"]
    assert package["repository"]["url"] == chart["sources"][0] == PROJECT["urls"]["Source"]
    assert package["author"] == chart["maintainers"][0]["name"] == PROJECT["authors"][0]["name"]


def test_type_checkers_read_the_annotations() -> None:
    """PEP 561."""
    assert files("detour").joinpath("py.typed").is_file()


@pytest.mark.parametrize("wanted", [one for one in SHIPPED if not one.startswith("detour-mesh")])
def test_every_dependency_has_a_lower_bound(wanted: str) -> None:
    """`make test-lowest` tries them."""
    assert any(one.operator in {">=", "==", "~="} for one in Requirement(wanted).specifier)


def test_the_lowest_versions_of_every_extra_are_tried() -> None:
    """By `make test-lowest`, each in an environment of its own, and in every run of CI."""
    tried = re.findall(r"^tested (\w+)", (ROOT / "tests/lowest.sh").read_text(), re.MULTILINE)
    assert sorted(tried) == sorted(PROJECT["optional-dependencies"])
    assert "run test-lowest\n" in (ROOT / "tests/all.sh").read_text()


def test_a_server_outside_a_cluster_needs_no_package_of_kubernetes() -> None:
    """`pip install detour-mesh[server]` brings none of them."""
    extras = PROJECT["optional-dependencies"]
    packages = {Requirement(one).name for one in extras["kubernetes"] if not one.startswith("detour-mesh")}
    assert packages
    modules = "detour.server.serving, detour.cli.app, detour.install, detour.injection.manifests"
    program = f"import sys; sys.modules.update(dict.fromkeys({packages})); import {modules}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_import_is_declared() -> None:
    """As deptry reads pyproject.toml and the code."""
    found = subprocess.run(
        [Path(sys.executable).with_name("deptry"), "src"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
