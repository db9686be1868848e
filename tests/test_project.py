"""What holds for the project as a whole."""

import fnmatch
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
IGNORED = [".git", *(line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines())]
ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+)(.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)*)", re.MULTILINE)
REGISTRY = re.compile(r"\b(pypi|pythonhosted|npmjs|golang|crates|ghcr|docker|quay|gcr)\.(org|io|com)\b")
HOME = re.compile(r"/(home|Users|root)/\w")


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Yield the project's files: what .gitignore does not name. Git itself may be missing, or its folder."""
    for path in folder.iterdir():
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in IGNORED):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def dependencies() -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for, in all its extras and groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    for wanted in (project["project"]["dependencies"], *extras, *project["dependency-groups"].values()):
        yield from (Requirement(one) for one in wanted if not one.startswith("detour-mesh"))


PAGES = sorted(path.relative_to(ROOT) for path in files() if path.suffix == ".md")
LOCKED = {
    name: (Version(version), rest)
    for name, version, rest in ENTRY.findall((ROOT / "requirements.lock").read_text())
}


@pytest.mark.parametrize("wanted", list(dependencies()), ids=str)
def test_the_lock_has_what_pyproject_asks_for(wanted: Requirement) -> None:
    """Every dependency is locked, at a version within its bounds."""
    version, _ = LOCKED[canonicalize_name(wanted.name)]
    assert wanted.specifier.contains(version, prereleases=True)


def test_everything_locked_is_hashed_and_final() -> None:
    """No package is installed unseen, or before its release; OpenTelemetry's instrumentations have betas only."""
    assert [name for name, (_, rest) in LOCKED.items() if "--hash=" not in rest] == []
    early = [name for name, (version, _) in LOCKED.items() if version.is_prerelease]
    assert [name for name in early if not name.startswith("opentelemetry-")] == []


def test_no_file_names_a_registry_or_a_home() -> None:
    """Where packages come from, and where the project lies, is the machine's business; Go's names are addresses."""
    addressed = ("go.mod", "go.sum", ".go")
    texts = {path: path.read_text(errors="replace") for path in files() if not path.name.endswith(addressed)}
    named = [
        (str(path), found[0])
        for path, text in texts.items()
        for found in (REGISTRY.search(text), HOME.search(text))
        if found
    ]
    assert named == []
    assert "://" not in (ROOT / "requirements.lock").read_text() + (ROOT / "setup/uv.lock").read_text()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Relative links resolve to files of the project."""
    links = re.findall(r"\]\((?![a-z]+://|#)([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if not (ROOT / page.parent / link).exists()] == []


def menu() -> list[str]:
    """Return the targets that `make` alone lists."""
    printed = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  make ([a-z-]+)", printed, re.MULTILINE)


def test_every_target_of_the_menu_exists() -> None:
    """What `make` alone lists can be made."""
    targets = menu()
    assert {"demo", "demo-once", "test", "bench"} <= set(targets)
    subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, check=True)


def test_the_workflow_runs_targets_of_the_menu() -> None:
    """Every command of the public CI, and the lowest versions are among them."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert {command.removeprefix("make ") for command in commands} <= set(menu())
    assert "make test-lowest" in commands


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pages_name_targets_of_the_menu(page: Path) -> None:
    """Whoever reads a page can type what it says."""
    named = re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE)
    assert set(named) <= set(menu())


def test_the_readme_names_real_commands() -> None:
    """Whoever reads it can type what it says."""
    from detour.cli.app import app

    rows = re.findall(r"^\| (`detour [^|]+)\|", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`(?:detour )?([a-z]+)", row)}
    real = {one.name for one in app.registered_commands} | {one.name for one in app.registered_groups}
    assert named <= real
    assert real - named == {"demo"}
