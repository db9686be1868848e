"""A shop in the test cluster: the service `users` with pods that run, Detour's server, and a caller's sidecar."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from lightkube.codecs import from_dict

from cli.running import environment, running, wait_until
from detour.envoy import Sidecar, sidecar_bootstrap
from detour.envoy.runner import find_envoy
from kubernetes.cluster import Cluster, Image
from ports import free_port

APP = """
import http.server, json, os, signal, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        content = json.dumps({"version": os.environ["VERSION"], "env": dict(os.environ)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *words):
        print("asked", self.path, flush=True)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print("users", os.environ["VERSION"], "listens", flush=True)
Server(("", 8080), Answer).serve_forever()
"""
CRASH = "import sys; print('cannot find its database', flush=True); sys.exit(3)"

REGISTRY = "registry.test/users"
DEADLINE_SECONDS = 60


def put_images(cluster: Cluster) -> None:
    """Put the images of users into the registry: versions 1, 2 and 3, and one that crashes."""
    for version in ("1", "2", "3"):
        python = (sys.executable, "-S", "-E", "-c", APP)
        cluster.images[f"{REGISTRY}:{version}"] = Image(python, env={"VERSION": version})
    cluster.images[f"{REGISTRY}:crash"] = Image((sys.executable, "-S", "-E", "-c", CRASH))


def users(replicas: int = 2, **container: Any) -> list[dict[str, Any]]:
    """Return the Service and the Deployment of users."""
    labels = {"app": "users", "tier": "backend"}
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    app = {"name": "app", "image": f"{REGISTRY}:1", "readinessProbe": probe, **container}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [app], "terminationGracePeriodSeconds": 2}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "users"},
            "spec": {"selector": {"app": "users"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "users", "labels": labels},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        },
    ]


@dataclass
class Shop:
    """A namespace with users, a server that serves it, and a sidecar through which it is called."""

    cluster: Cluster
    namespace: str
    server: str
    outbound_port: int

    def detour(self, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Run a command against the server."""
        return subprocess.run(
            [sys.executable, "-m", "detour", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment(DETOUR_SERVER=self.server, DETOUR_USER="ana", **changes),
            stdin=subprocess.DEVNULL,
            timeout=DEADLINE_SECONDS,
        )

    def call(self, override: str = "", url: str = "http://users/") -> httpx.Response:
        """Call users through the sidecar, with `override.route.users` if one is given."""
        headers = {"baggage": f"override.route.users={override}"} if override else {}
        return httpx.get(url, headers=headers, proxy=f"http://127.0.0.1:{self.outbound_port}", timeout=10)

    def version(self, override: str = "") -> str:
        """Return which version of users answers; the status where none does."""
        answer = self.call(override)
        return answer.json()["version"] if answer.is_success else str(answer.status_code)

    def get(self, path: str) -> Any:
        """Ask the server's API."""
        return httpx.get(self.server + path, timeout=10).raise_for_status().json()

    def endpoints(self, name: str) -> list[str] | None:
        """Return where the server has a deployment of users; None if it has none."""
        found = self.get("/v1/deployments")["items"]
        return next((one["endpoints"] for one in found if one["name"] == name), None)

    def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something is so, and return it."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := holds()):
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.02)
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create objects in the namespace."""
        with self.cluster.client(namespace=self.namespace) as client:
            for one in objects:
                client.create(from_dict({**one, "metadata": {"namespace": self.namespace, **one["metadata"]}}))


@contextmanager
def open_shop(
    cluster: Cluster, namespace: str, folder: Path, *options: str, kubeconfig: Path | None = None
) -> Iterator[Shop]:
    """Open a shop: users with two pods, the server, and a caller's sidecar."""
    put_images(cluster)
    with ExitStack() as stack:
        shop = Shop(cluster, namespace, "", free_port())
        shop.apply(*users())
        config = str(kubeconfig or cluster.kubeconfig)
        arguments = ["serve", "--kubernetes", "--kubeconfig", config, "--namespace", namespace]
        addresses = ["--xds", "127.0.0.1:0", "--api", "127.0.0.1:0"]
        server = stack.enter_context(running(folder / "server.log", *arguments, *addresses, *options))
        said = server.wait_for(r"Envoys at (\S+), and its page and API at (http://\S+)")
        shop.server = said[2]
        stack.enter_context(sidecar(shop.outbound_port, said[1], folder))
        shop.until(lambda: shop.version() == "1")
        yield shop


@contextmanager
def sidecar(port: int, control_plane: str, folder: Path, namespace: str = "") -> Iterator[None]:
    """Run a caller's sidecar, for as long as it is needed."""
    settings = Sidecar(
        service="caller",
        instance=f"caller-{port}",
        app_port=None,
        outbound_port=port,
        admin_port=free_port(),
        control_plane=control_plane,
        namespace=namespace,
    )
    config = folder / f"sidecar-{port}.json"
    config.write_text(json.dumps(sidecar_bootstrap(settings)))
    with (folder / f"sidecar-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [find_envoy(), "--config-path", str(config), "--use-dynamic-base-id", "--concurrency", "1"],
            stdout=log,
            stderr=log,
        )
        try:
            wait_until(lambda: _is_live(settings.admin_port))
            yield
        finally:
            process.kill()
            process.wait()


def _is_live(admin_port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{admin_port}/ready", timeout=5).is_success
    except httpx.HTTPError:
        return False
