"""What holds for the project as a whole."""

import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the project, by git's patterns."""
    done = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in done.stdout.split("\n") if (path := ROOT / name).is_file()]


def test_the_lock_names_every_dependency_with_its_hash() -> None:
    """What pyproject.toml asks for is what the lock installs, and nothing else is downloaded."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    groups = [project["project"]["dependencies"], project["dependency-groups"]["dev"], *extras.values()]
    wanted = itertools.chain.from_iterable(groups)
    names = {re.match(r"[A-Za-z0-9-]+", one)[0] for one in wanted} - {"detour-mesh"}
    entries = re.findall(r"^([a-z0-9-]+)==.*?(?=^[a-z]|\Z)", LOCK, re.MULTILINE | re.DOTALL)
    assert names <= set(entries)
    assert LOCK.count("==") <= LOCK.count(" \\\n    --hash=sha256:")


def test_the_lock_names_no_place_to_download_from() -> None:
    """Where packages come from is the machine's business."""
    assert "://" not in LOCK


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Relative links resolve to files of the project."""
    links = re.findall(r"\]\((?![a-z]+://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_menu_names_every_target() -> None:
    """`make` alone says what there is."""
    makefile = (ROOT / "Makefile").read_text()
    menu = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert described == set(re.findall(r"^  make ([a-z-]+)", menu, re.MULTILINE))
    assert {"demo", "demo-once", "test", "bench"} <= described


def test_the_readme_names_real_commands() -> None:
    """Whoever reads it can type what it says."""
    from detour.cli.app import app

    named = set(re.findall(r"^\| `detour ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    real = {one.name for one in app.registered_commands} | {one.name for one in app.registered_groups}
    assert named <= real
    assert real - named == {"demo"}
