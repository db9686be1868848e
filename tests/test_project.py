"""What holds for the project as a whole."""

import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
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
    extras = PROJECT["project"]["optional-dependencies"].values()
    for wanted in (PROJECT["project"]["dependencies"], *extras, *PROJECT["dependency-groups"].values()):
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


def test_decisions_are_numbered() -> None:
    """Each by the number of its file, without gaps, and once."""
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    titles = [page.read_text().partition("\n")[0] for page in pages]
    assert [title for number, title in enumerate(titles, 1) if not title.startswith(f"# {number}. ")] == []


def menu() -> list[str]:
    """Return the targets that `make` alone lists."""
    printed = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  make ([a-z-]+)", printed, re.MULTILINE)


def test_every_target_of_the_menu_exists() -> None:
    """What `make` alone lists can be made."""
    targets = menu()
    assert {"demo", "demo-once", "test", "bench"} <= set(targets)
    subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, check=True)


WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())


def steps(workflow: Path) -> list[dict[str, str]]:
    """Return the steps of all jobs."""
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def tool(name: str, *arguments: str | Path, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run a tool of the environment."""
    return subprocess.run(
        [Path(sys.executable).with_name(name), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_workflows_are_valid() -> None:
    """As GitHub's own schema says."""
    checked = tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_name_what_exists(workflow: Path) -> None:
    """Targets of the menu, files and folders; actions have a version."""
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    targets = [target for command in commands for target in re.findall(r"^make ([a-z-]+)", command, re.MULTILINE)]
    assert set(targets) <= set(menu())
    named = [
        path for command in commands for path in re.findall(r"\b(?:deploy|sdk|setup|src|tests)/[\w./-]*", command)
    ]
    folders = [step["working-directory"] for step in steps(workflow) if "working-directory" in step]
    assert [one for one in (*named, *folders) if not (ROOT / one).exists()] == []
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@(release/)?v[0-9]+", one)] == []


def test_every_change_is_tested_in_public() -> None:
    """With the oldest Python and the lowest versions of dependencies as well."""
    ci = ROOT / ".github/workflows/ci.yaml"
    commands = {step["run"] for step in steps(ci) if "run" in step}
    assert {"make test", "make unused", "make test-lowest", "make test-propagation"} == commands
    pythons = yaml.safe_load(ci.read_text())["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f">={pythons[0]}" == PROJECT["project"]["requires-python"]
    assert f"Programming Language :: Python :: {pythons[-1]}" in PROJECT["project"]["classifiers"]


def test_a_commit_is_checked_like_make_lint() -> None:
    """The configuration is valid, and each command of `make lint` is a hook."""
    checked = tool("pre-commit", "validate-config", ".pre-commit-config.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    # These tests may run in a make themselves, which would add lines about its folder.
    make = ["make", "--no-print-directory", "--dry-run", "lint"]
    lint = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commands = [line for line in lint.splitlines() if not line.startswith("setup/environment.sh")]
    assert [line for line in commands if not any(line.startswith(hook) for hook in hooks)] == []
    assert len(commands) >= 5


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_commit_with_bad_style_is_refused(tmp_path: Path) -> None:
    """By the hooks as they are, in a repository that has nothing else."""
    for name in (".pre-commit-config.yaml", "pyproject.toml", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "good.py").write_text('"""Good."""\n')
    (tmp_path / "bad.py").write_text('"""Bad."""\nimport os\nx=1\n')
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    for hook in ("ruff-check", "ruff-format"):
        assert tool("pre-commit", "run", hook, "--files", "good.py", cwd=tmp_path).returncode == 0
        refused = tool("pre-commit", "run", hook, "--files", "bad.py", cwd=tmp_path)
        assert refused.returncode == 1, refused.stdout
        assert "Failed" in refused.stdout


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
