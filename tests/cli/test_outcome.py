"""How commands end: one line, never a stack, whatever they are interrupted in or printed to."""

import errno
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cli.running import Server, environment, refusal
from ports import free_port

BAD = (
    "Traceback",
    "never retrieved",
    "never awaited",
    "was destroyed",
    "KeyboardInterrupt",
    "Exception ignored",
    "sys.excepthook",
)
SEED = 14
DETOUR = str(Path(sys.executable).parent / "detour")

ENVOY = "--admin-port {port} --control-plane {xds}"
MANIFEST = "{apiVersion: v1, kind: Pod, metadata: {name: users}, spec: {containers: [{name: users}]}}\n"
COMMANDS = [
    "--help",
    "--version",
    "serve --mesh {mesh} --xds 127.0.0.1:0 --api 127.0.0.1:0",
    "sidecar --service users --app-port {port} --outbound-port {port} --inbound-port {port} {envoy}",
    "edge --listen 127.0.0.1:{port} {envoy}",
    "bootstrap --edge",
    "offload add users pr-{port} --endpoint 127.0.0.1:9",
    "offload create users pr-1 --image a",
    "offload ls",
    "offload show users filed",
    "offload logs users filed --follow",
    "offload extend users filed",
    "offload rm users none",
    "scenario save s-{port} users=filed",
    "scenario ls",
    "scenario show kept",
    "scenario edit kept",
    "scenario diff kept",
    "scenario share kept --qr",
    "scenario rm none",
    "header users=filed --signed",
    "curl users=filed -- {silent}",
    "status",
    "login --with-token",
    "logout",
    "token ls",
    "install --namespace shop --dry-run",
    "uninstall",
    "inject -f {manifest}",
    "redirect --dry-run",
    "demo --once",
]


@pytest.fixture(scope="module")
def words(server: Server, tmp_path_factory: pytest.TempPathFactory):
    """Return what stands for the names in braces."""
    folder = tmp_path_factory.mktemp("words")
    manifest, mesh = folder / "pod.yaml", folder / "mesh.yaml"
    manifest.write_text(MANIFEST)
    mesh.write_text("services: {users: {endpoints: []}}\n")
    assert server.detour("scenario", "save", "kept", "users=filed").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        yield {"xds": server.xds, "mesh": str(mesh), "manifest": str(manifest), "silent": at}


def filled(command: str, words: dict[str, str]) -> list[str]:
    """Return the arguments of a command, each with a port of its own."""
    return [one.format(port=free_port(), **words) for one in command.replace("{envoy}", ENVOY).split()]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupted_command_shows_no_stack(server: Server, words: dict[str, str], tmp_path: Path, command: str):
    """At a random moment, by Ctrl-C or SIGTERM, once or twice; and it ends."""
    chance = random.Random(f"{SEED} {command}")
    log = tmp_path / "log"
    changes = {"DETOUR_SERVER": server.url, "EDITOR": "sleep 5;:", "KUBECONFIG": str(tmp_path / "none")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [DETOUR, *filled(command, words)],
            env=environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        for _ in range(chance.choice([1, 2])):
            time.sleep(chance.uniform(0, 2))
            if process.poll() is None:
                os.killpg(process.pid, chance.choice([signal.SIGINT, signal.SIGTERM]))
        process.wait(20)
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    assert [word for word in BAD if word in said] == [], said


def test_ctrl_c_while_python_starts_shows_no_stack():
    """Its first milliseconds are Python's own, and it would print a stack of its own."""
    for milliseconds in range(0, 80, 2):
        process = subprocess.Popen(
            [DETOUR, "--version"], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert (process.returncode in {0, -signal.SIGINT}, said) == (True, b"")


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path):
    """A folder may have a file that is called as a module is."""
    (tmp_path / "typer.py").write_text("raise ValueError\n")
    (tmp_path / "detour").mkdir()
    done = subprocess.run([DETOUR, "--version"], env=environment(), cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == 0


def test_a_closed_pipe_ends_a_command_in_silence(server: Server):
    """As with `| head`: no line, and a status that says so."""
    for arguments in (["offload", "ls", "--json"], ["status"], ["bootstrap", "--edge"], ["--help"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "detour", *arguments],
            env=environment(DETOUR_SERVER=server.url),
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        os.close(writing)
        assert (done.returncode in {1, -signal.SIGPIPE}, done.stderr) == (True, b""), arguments


def test_a_full_disk_is_one_line():
    """It says what could not be written."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "detour", "bootstrap", "--edge"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    expected = f"detour: cannot write the output: {os.strerror(errno.ENOSPC)}\n"
    assert (done.returncode, done.stderr.decode()) == (2, expected)


def test_closed_streams_are_no_error(server: Server):
    """A shell may have closed all three."""
    command = f"exec {sys.executable} -m detour status <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], env=environment(DETOUR_SERVER=server.url), check=False, timeout=60)
    assert done.returncode == 0


def test_what_is_no_text_is_one_line(server: Server):
    """Arguments in another encoding than the terminal's, and output that a terminal cannot show."""
    done = subprocess.run(
        [sys.executable, "-m", "detour", "header", b"config.x=caf\xe9"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert refusal(done) == r"'config.x=caf\udce9' is not text in utf-8"
    server.detour("scenario", "save", "cafe", "users=filed", "-d", "café")
    shown = server.detour("scenario", "ls", PYTHONIOENCODING="ascii")
    assert (shown.returncode, r"caf\xe9" in shown.stdout, shown.stderr) == (0, True, "")


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{", "unreadable JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi", "is that a Detour server?"),
        (b"HTTP/1.1 500 No\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\n\r\n{}", "unreadable"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no Detour server answers at"),
        (b"", "no Detour server answers at"),
    ],
)
def test_a_server_that_is_none_is_one_line(here, answer: bytes, line: str):
    """Whatever it answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def once() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        answering = threading.Thread(target=once)
        answering.start()
        found = refusal(here("offload", "ls", "--server", f"http://127.0.0.1:{listening.getsockname()[1]}"))
        answering.join()
    assert line in found


@pytest.mark.parametrize("text", ["7", "[1]", "{", '{"SERVER": 7}', '{"SERVER": {"word": 1}}'])
def test_kept_credentials_of_another_form_are_one_line(
    here, server: Server, tmp_path: Path, monkeypatch, text: str
):
    """With the file, and how to get another."""
    kept = tmp_path / "detour" / "credentials.json"
    kept.parent.mkdir()
    kept.write_text(text.replace("SERVER", server.url))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    line = refusal(here("offload", "ls", "--server", server.url))
    assert line == f"{kept}: not a credentials file; remove it, and sign in again: detour login"


def test_a_sidecar_of_no_service_is_one_line(here):
    """Envoy would refuse it in many."""
    assert "--service" in refusal(here("sidecar", "--service", "", "--app-port", "8080"))


def test_a_server_without_tls_is_one_line(here, server: Server):
    """And so is one whose certificate nobody knows."""
    line = refusal(here("status", "--server", server.url.replace("http:", "https:")))
    assert "is not trusted, or the server does not speak TLS" in line


def test_an_error_of_ours_is_one_line(monkeypatch, here):
    """It says so, and how to see more."""
    from detour.cli import status

    monkeypatch.setattr(status, "connected", lambda _: {}["mesh_file"])
    line = refusal(here("status"))
    assert line.startswith("internal error: KeyError('mesh_file'); set DETOUR_DEBUG=1")


def test_errors_while_the_process_ends_keep_their_own_words():
    """Python's own hook prints them; one in Python may be torn down already ("Error in sys.excepthook")."""
    program = (
        "import atexit, sys; from detour.cli import main; sys.argv = ['detour', '--version'];"
        "atexit.register(lambda: print(sys.excepthook is sys.__excepthook__)); main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nTrue\n")
