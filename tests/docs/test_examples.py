"""The examples of the documentation: each is run, or says why it is not."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.running import environment, serving, wait_until
from detour.cli.app import app
from detour.discovery.mesh_file import read
from docs.examples import PAGES, ROOT, Example, examples
from terminal import Terminal, terminal

SERVICE = ROOT / "examples" / "two-services" / "service.py"
COMPILED = {"go": ROOT / "tests/propagation/go/readme/readme_test.go", "ts": ROOT / "sdk/typescript/test"}
"""The files of which examples in these languages are a part; the tests of their language run them."""

SAYS = {"detour serve": "Detour serves ", "detour sidecar": "Sidecar of ", "detour edge": "Edge at "}
"""Commands that go on running, and what they say once they serve."""

ELSEWHERE = {
    "detour curl --signed": "tests/envoy/test_signed.py",
    "detour login": "tests/cli/test_login.py",
    "detour serve --kubernetes": "tests/kubernetes",
    "detour install": "tests/kubernetes",
    "detour redirect": "tests/injection/test_redirection.py",
}
"""Commands of the README's tables that need more than this mesh, and the tests that run them."""

MESH = 'services: {users: {endpoints: ["127.0.0.1:9001"]}}\n'
"""Of a server that starts beside another one."""

A_TOKEN = "3f1c0a9e77b2"
"""The id of a token in an example; the one that was created before takes its place."""


def runnable(*languages: str, pages: tuple[str, ...] = PAGES) -> list[Any]:
    """Return the examples that are run, as parameters."""
    return [pytest.param(one, id=str(one)) for one in examples(*languages, pages=pages) if not one.not_run]


def mesh_of(page: str) -> str:
    """Return the mesh file that a page shows, or a part of it."""
    (example,) = examples("yaml", pages=(page,))
    return example.text


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Open a terminal beside the README's mesh, with what its commands name besides, and a sidecar and an edge."""
    with terminal(tmp_path_factory.mktemp("here")) as opened:
        mesh = mesh_of("README.md").replace("https://staging.example.test", "http://127.0.0.1:8000")
        mesh = mesh.replace(", 127.0.0.1:9003]", "]") + "  payments: {endpoints: [127.0.0.1:9003]}\n"
        (opened.folder / "mesh.yaml").write_text(opened.moved(mesh))
        shutil.copy(ROOT / "examples/kubernetes/users.yaml", opened.folder / "manifests.yaml")
        (opened.folder / "app.py").write_text("")
        for command in (
            "detour serve --mesh mesh.yaml",
            "detour sidecar --service web --app-port 9001",
            "detour edge --trust-overrides",
            f"python {SERVICE} users-1 9002",
            f"python {SERVICE} users-pr-42-1 9102",
            f"http_proxy=http://127.0.0.1:15001 python {SERVICE} web-1 9001 users",
        ):
            opened.start(opened.completed(opened.moved(command)))
        opened.expect(opened.moved("curl -s http://127.0.0.1:8000/"), "web-1 > users-1")
        yield opened


def test_every_example_is_run_or_says_why_not() -> None:
    """By the tests below; a reason is words, and the mark stands where it is read."""
    languages = {one.language for one in examples() if not one.not_run}
    assert languages <= {"sh", "python", "yaml", "nginx", *COMPILED}
    marks = [mark for page in PAGES for mark in re.findall("<!-- not run.*", (ROOT / page).read_text())]
    assert len(marks) == len([one for one in examples() if len(one.not_run) > 10]), marks


@pytest.mark.more
def test_what_is_typed_succeeds(here: Terminal, tmp_path: Path) -> None:
    """The commands of the README's tables, in their order, and the examples of all pages, line by line."""
    for command in readme_commands():
        if not is_run_elsewhere(command):
            typed(here, command, tmp_path)
    for example in examples("sh"):
        made = ""
        for line in () if example.not_run else filter(None, example.text.replace("\\\n", "").splitlines()):
            done = typed(here, line.replace(A_TOKEN, made), tmp_path)
            made = done.split()[1] if line.startswith("detour token create") else made


def typed(here: Terminal, line: str, folder: Path) -> str:
    """Type a line, which succeeds, or says that it serves; return what it says on standard error."""
    if any(line.startswith(start) for start in SAYS):
        return started(line, folder)
    if line.startswith("detour scenario save "):
        here.run(
            f"detour scenario rm --missing-ok {line.split()[3]}"
        )  # another page may have saved one by the name
    done = here.run(here.moved(line))
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stderr


def started(line: str, folder: Path) -> str:
    """Start a command on ports of its own, until it says that it serves; return what it says."""
    with terminal(folder) as own, (folder / "log").open("w+") as log:
        (folder / "mesh.yaml").write_text(MESH)
        process = own.start(own.completed(own.moved(line)), log=log)
        (says,) = (text for start, text in SAYS.items() if line.startswith(start))
        wait_until(lambda: says in (folder / "log").read_text() or process.poll() is not None)
        said = (folder / "log").read_text()
        assert says in said, (line, said)
        return said


def readme_commands() -> list[str]:
    """Return the commands of the README's tables."""
    rows = re.findall(r"^\| `(detour [^|]+)\|", (ROOT / "README.md").read_text(), re.MULTILINE)
    return [row.partition("`")[0] for row in rows]


def is_run_elsewhere(command: str) -> bool:
    """Say whether a command needs more than this mesh; then another test runs it."""
    where = [tests for start, tests in ELSEWHERE.items() if command.startswith(start)]
    assert all((ROOT / tests).exists() for tests in where)
    return bool(where)


@pytest.mark.parametrize("page", ["client", "sdk"])
def test_examples_in_python_do_what_the_page_says(tmp_path: Path, page: str) -> None:
    """All of a page in one module; `prepared` has what they take for given, and checks what they did."""
    written = (ROOT / f"docs/{page}.md").read_text().splitlines()
    own = [one for one in examples("python", pages=(f"docs/{page}.md",)) if not is_test(one)]
    shown = {number for one in own for number in range(one.line, one.line + one.text.count("\n"))}
    file = tmp_path / f"{page}.md"
    file.write_text("\n".join(line if number in shown else "" for number, line in enumerate(written, 1)))
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh/mesh.yaml").write_text(MESH)
    with serving(tmp_path / "mesh/mesh.yaml") as server:
        settings = {"PYTHONPATH": str(ROOT / "tests"), "OTEL_SERVICE_NAME": "rides", "DETOUR_SERVER": server.url}
        done = subprocess.run(
            [sys.executable, "-m", "docs.prepared", page, file],
            env=environment(**settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    assert own


def is_test(example: Example) -> bool:
    """Say whether an example is for pytest."""
    return "def test_" in example.text


@pytest.mark.parametrize("example", [one for one in runnable("python") if is_test(one.values[0])])
def test_examples_for_pytest_pass(tmp_path: Path, example: Example) -> None:
    """With the plugin that the package is."""
    (tmp_path / "test_example.py").write_text("import pytest\n\n" + example.text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--override-ini=addopts=", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout
    assert f"{example.text.count('def test_')} passed" in done.stdout


@pytest.mark.parametrize("page", sorted({one.page for one in examples("yaml")}))
def test_mesh_files_are_read(tmp_path: Path, page: str) -> None:
    """A part of one, beside a service."""
    shown = mesh_of(page)
    rest = "" if "\nservices:" in shown else "services: {web: {endpoints: []}}\n"
    (tmp_path / "mesh.yaml").write_text(shown + rest)
    assert "web" in read(tmp_path / "mesh.yaml").services


@pytest.mark.parametrize("example", runnable("nginx"))
def test_nginx_takes_its_settings(tmp_path: Path, example: Example) -> None:
    """As part of a server."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("no nginx on this machine: apt-get install nginx-light")
    server = f"access_log off; server {{ listen 127.0.0.1:1;\n{example.text}}}"
    text = f"pid {tmp_path}/pid; events {{}} http {{ {server} }}"
    (tmp_path / "nginx.conf").write_text(text)
    command = [program, "-t", "-p", tmp_path, "-c", "nginx.conf", "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", runnable(*COMPILED))
def test_examples_are_parts_of_tested_files(example: Example) -> None:
    """Line by line, in order; `...` stands for what a file says there."""
    place = COMPILED[example.language]
    files = [place] if place.is_file() else sorted(place.glob("readme*.ts"))
    wanted = list(filter(None, map(code, example.text.splitlines())))
    assert any(is_within(wanted, file.read_text()) for file in files), (
        f"no file of {place} has these lines, in order"
    )


def code(line: str) -> str:
    """Return a line without its indentation, its comment, and a `...` that stands alone."""
    text = re.sub(r"(^|\s+)//.*", "", line.strip())
    return "" if text == "..." else text


def is_within(wanted: list[str], text: str) -> bool:
    """Say whether lines are found in a text, in order; `...` within one of them stands for anything."""
    patterns = [re.compile(re.escape(line).replace(re.escape("..."), ".*")) for line in wanted]
    others = map(code, text.splitlines())
    return all(any(pattern.fullmatch(line) for line in others) for pattern in patterns)


def named_commands() -> Iterator[tuple[str, str]]:
    """Yield every use of `detour` in a page: in examples, and in code within a sentence."""
    for page in (*PAGES, "examples/kubernetes/README.md", "deploy/helm/detour/README.md", "CHANGELOG.md"):
        text = (ROOT / page).read_text()
        for found in re.findall(
            r"(?:^|`|kubectl |; )(detour (?:[a-z]|--)[^`\n|#&;]*)", text.replace("\\\n", ""), re.MULTILINE
        ):
            yield page, found


@pytest.mark.parametrize(("page", "command"), sorted(set(named_commands())))
def test_pages_name_commands_and_options_that_exist(page: str, command: str) -> None:
    """Also where they are not run."""
    del page
    words = command.partition(" -- ")[0].split()[1:]
    one, path = typer.main.get_command(app), ["detour"]
    while hasattr(one, "commands") and words and not words[0].startswith("-"):
        path.append(words.pop(0))
        assert path[-1] in one.commands, " ".join(path)
        one = one.commands[path[-1]]
    known = {name for parameter in one.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
    if path[-1] != "curl":
        assert options <= known | {"-h", "--help"}
