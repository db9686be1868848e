"""What holds for every command: help, versions, mistakes, and how fast it starts."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import detour as package
from cli.running import detour, environment, refusal

COMMANDS = [
    "serve",
    "sidecar",
    "edge",
    "bootstrap",
    "offload",
    "overrides",
    "offload add",
    "offload ls",
    "offload rm",
    "offload create",
    "offload show",
    "offload logs",
    "offload extend",
    *(f"scenario {one}" for one in ("save", "ls", "show", "edit", "diff", "rm", "share")),
    "scenario",
    "install",
    "login",
    "logout",
    "uninstall",
    "header",
    "curl",
    "inject",
    "redirect",
    "status",
    "token",
    "demo",
]


def test_version():
    """The package's."""
    done = detour("--version")
    assert (done.returncode, done.stdout) == (0, f"detour {package.__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(arguments):
    """Alone, `detour` says what it can do; that is no mistake."""
    done = detour(*arguments, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: detour [OPTIONS] COMMAND [ARGS]...\n")
    listed = re.findall(r"^  (\w+)  +[A-Z].*\.$", done.stdout, re.MULTILINE)
    assert sorted(listed) == sorted({command.split()[0] for command in COMMANDS})


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_plain(here, monkeypatch, command):
    """No box, no name of a Python type, no markup; at most 100 columns wide."""
    monkeypatch.setenv("COLUMNS", "100")
    done = here(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: detour {command} [OPTIONS]")
    assert not re.search(r"[─│╭]|<\w+|\(dynamic\)|x<=|\[/?(bold|red)", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "..." not in re.sub(r"[}\]]\.\.\.", "", done.stdout)


def test_a_group_alone_prints_its_help():
    """As `detour` alone does."""
    done = detour("offload")
    assert done.returncode == 0
    assert done.stdout == detour("offload", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["serv"], "No such command 'serv'. Did you mean 'serve'? (see detour --help)"),
        (["zebra"], "No such command 'zebra' (see detour --help)"),
        (["offload", "remove"], "No such command 'remove' (see detour offload --help)"),
        (["edge", "--lisen"], "No such option: --lisen (Possible options: --listen) (see detour edge --help)"),
        (["edge", "x"], "Got unexpected extra argument(s) (x) (see detour edge --help)"),
        (["sidecar", "--app-port", "1"], "Missing option '--service' (see detour sidecar --help)"),
        (["header"], "Missing argument 'OVERRIDE' (see detour header --help)"),
        (["offload", "rm", "users"], "Missing argument 'NAME' (see detour offload rm --help)"),
    ],
)
def test_a_mistyped_command_is_one_line(here, arguments, line):
    """It says what is wrong and where to look."""
    assert refusal(here(*arguments)) == line


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--app-port", "eighty", "expected a port from 1 to 65535, got 'eighty'"),
        ("--app-port", "65536", "expected a port from 1 to 65535, got '65536'"),
        ("--outbound-port", "0", "expected a port from 1 to 65535, got '0'"),
        ("--inbound-address", "localhost", "expected an IP address such as 127.0.0.1, got 'localhost'"),
        ("--control-plane", "15010", "expected host:port such as 127.0.0.1:15010, got '15010'"),
        ("--control-plane", "http://detour:15010", "expected host:port such as 127.0.0.1:15010"),
        ("--service", "Users!", "expected the name of a service such as users, got 'Users!'"),
    ],
)
def test_a_bad_value_is_one_line(here, option, value, expected):
    """It names the option and what it takes."""
    line = refusal(here("bootstrap", "--service", "users", option, value))
    assert line.startswith(f"Invalid value for '{option}")
    assert expected in line


def test_light_commands_import_no_heavy_library():
    """A person waits for each start: the header needs no server, no client and no Envoy messages."""
    heavy = ["envoy", "fastapi", "google", "grpc", "httpx", "rich", "uvicorn", "yaml"]
    code = (
        "import json, sys\nsys.argv = ['detour', 'header', 'users=pr-42']\nfrom detour.cli import main\n"
        f"try:\n    main()\nfinally:\n    print(json.dumps([name for name in {heavy} if name in sys.modules]))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(), timeout=30)
    header, imported = done.stdout.splitlines()
    assert header == "baggage: override.route.users=pr-42"
    assert json.loads(imported) == []


def test_it_is_a_plugin_of_kubectl():
    """`kubectl detour` runs what is called kubectl-detour on the path."""
    folder = Path(sys.executable).parent
    plugin = folder / "kubectl-detour"
    command = ["kubectl", "detour"] if shutil.which("kubectl") else [str(plugin)]
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        [*command, "--version"], capture_output=True, text=True, check=False, env=environment(PATH=path), timeout=30
    )
    assert (done.returncode, done.stdout) == (0, f"detour {package.__version__}\n")


def test_without_what_commands_need_one_line_says_what_brings_it():
    """The package alone is for services: it brings no command line."""
    program = "import sys; sys.modules['typer'] = None; from detour.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert (ran.returncode, ran.stderr) == (
        2,
        "detour: typer is not installed: pip install 'detour-mesh[server]'\n",
    )
