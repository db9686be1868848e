"""The whole cluster, as tests use it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from lightkube import AsyncClient, Client, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, Node, Pod, ServiceAccount, ServiceAccountToken

from . import node
from .access import write_kubeconfig
from .control_plane import KUBELET_PORT, SERVER, ControlPlane
from .programs import ClusterError, Program
from .registry import Images

_TESTS = Path(__file__).parents[2]
_POLL_SECONDS = 0.02


class Cluster:
    """A running cluster; see the package's docstring. The caller is inside the node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._plane = ControlPlane(folder)
        self.images = Images(folder / "images.json")
        self.logs = folder / "pods"
        try:
            self._plane.start()
            self._kubelet = self._start_kubelet()  # it takes as long to start as the API server, so beside it
            self._plane.complete()
            self._await_node()
        except BaseException:
            self.stop()
            raise

    @property
    def server(self) -> str:
        """The API server's URL, the same from tests and from pods."""
        return SERVER

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig that may do everything."""
        return self._plane.kubeconfig

    @property
    def ca(self) -> Path:
        """The certificate that the API server's is signed with."""
        return self._plane.ca

    @property
    def processes(self) -> dict[str, int]:
        """The process ids of the cluster's own programs, by name."""
        plane = self._plane
        return {
            "etcd": plane.etcd.pid,
            "kube-apiserver": plane.api.pid,
            "kube-controller-manager": plane.controllers.pid,
            "kube-proxy": plane.proxy.pid,
            "kubelet": self._kubelet.pid,
        }

    def client(self, kubeconfig: Path | None = None, **options: Any) -> Client:
        """Make a lightkube client; as admin, or as the kubeconfig says."""
        return Client(KubeConfig.from_file(kubeconfig or self.kubeconfig), trust_env=False, **options)

    def async_client(self, kubeconfig: Path | None = None, **options: Any) -> AsyncClient:
        """Make an asynchronous lightkube client; as admin, or as the kubeconfig says."""
        return AsyncClient(KubeConfig.from_file(kubeconfig or self.kubeconfig), trust_env=False, **options)

    def http(self) -> httpx.Client:
        """Make an HTTP client of the API server, as admin, for what lightkube has no call for. Paths are enough."""
        return httpx.Client(base_url=SERVER, verify=self._plane.admin_trust(), trust_env=False)

    @contextmanager
    def namespace(self, prefix: str = "test", labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """Give a fresh namespace with its service account. At the end its pods are killed, its content removed."""
        name = f"{prefix}-{next(self._numbers)}"
        with self.client() as client:
            client.create(Namespace(metadata=ObjectMeta(name=name, labels=dict(labels or {}))))
            self.wait_for(lambda: _there(client, name), f"the default service account of {name}")
            try:
                yield name
            finally:
                self._plane.ensure_api()
                client.delete(Namespace, name)
                client.deletecollection(Pod, namespace=name, grace_period=0)

    def token_for(
        self, namespace: str, service_account: str, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> str:
        """Ask for a token of a service account (TokenRequest API)."""
        spec = TokenRequestSpec(audiences=list(audiences), expirationSeconds=seconds)
        with self.client() as client:
            made = client.create(
                ServiceAccountToken(metadata=ObjectMeta(), spec=spec), service_account, namespace=namespace
            )
        assert made.status is not None
        return str(made.status.token)

    def kubeconfig_for(self, namespace: str, service_account: str) -> Path:
        """Write a kubeconfig that is this service account, and return its path."""
        path = self._folder / f"{namespace}-{service_account}.kubeconfig"
        write_kubeconfig(path, SERVER, self.ca, {"token": self.token_for(namespace, service_account)}, namespace)
        return path

    def wait_for(self, condition: Callable[[], object], what: str, deadline_seconds: float = 30) -> Any:
        """Wait until the condition gives something true, and return that. A 404 counts as not yet.

        Raises:
            ClusterError: It did not in time.
        """
        deadline = time.monotonic() + deadline_seconds
        while not (found := _unless_missing(condition)):
            if time.monotonic() > deadline:
                raise ClusterError(f"{what} did not come in {deadline_seconds:g} s")
            time.sleep(_POLL_SECONDS)
        return found

    def wait_for_pod(
        self, namespace: str, name: str, condition: Callable[[Pod], object], deadline_seconds: float = 30
    ) -> Pod:
        """Wait until a pod is such, and return it.

        Raises:
            ClusterError: It was not in time; the message has its last status.
        """
        deadline = time.monotonic() + deadline_seconds
        with self.client() as client:
            while True:
                pod: Pod | None = _unless_missing(lambda: client.get(Pod, name, namespace=namespace))
                if pod is not None and condition(pod):
                    return pod
                if time.monotonic() > deadline:
                    status = pod and pod.status and pod.status.to_dict()
                    raise ClusterError(f"pod {namespace}/{name} was not so in {deadline_seconds:g} s: {status}")
                time.sleep(_POLL_SECONDS)

    def wait_ready(self, namespace: str, name: str, deadline_seconds: float = 30) -> Pod:
        """Wait until a pod is Ready, and return it."""
        return self.wait_for_pod(namespace, name, is_ready, deadline_seconds)

    def pids(self, pod: Pod) -> dict[str, int]:
        """Return the process id, in the node, of each running container. Killing it crashes the container."""
        status = pod.status
        assert status is not None
        every = [*(status.initContainerStatuses or []), *(status.containerStatuses or [])]
        running = [each for each in every if each.state and each.state.running and each.containerID]
        return {each.name: int(str(each.containerID).removeprefix("process://")) for each in running}

    def run_in(
        self, pod: Pod, container: str, *command: str, seconds: float = 10
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command inside a running container, and return its output."""
        namespaces = ("--mount", "--net", "--pid", "--uts", "--root", "--wd")
        enter = ["nsenter", "--target", str(self.pids(pod)[container]), *namespaces, *command]
        known = {"PATH": os.environ["PATH"], "HOME": "/root"}
        return subprocess.run(enter, capture_output=True, text=True, timeout=seconds, check=False, env=known)

    def stop_api(self) -> None:
        """Kill the API server; all else goes on."""
        self._plane.api.kill()

    def start_api(self) -> None:
        """Start the API server again, at the same address with the same data, and wait until it is ready."""
        self._plane.restart_api()

    def compact(self) -> None:
        """Forget the history of objects: any older resourceVersion is answered with 410 Gone.

        The API server is restarted, since its watch cache would still know; that ends all watches.
        """
        self._plane.compact()
        self.stop_api()
        self.start_api()

    def stop(self) -> None:
        """End everything."""
        if hasattr(self, "_kubelet"):
            self._kubelet.kill()
        self._plane.stop()

    def _start_kubelet(self) -> Program:
        serving = self._plane.authority.sign("kubelet-server", hosts=(node.ADDRESS, node.NAME))
        settings = {
            "kubeconfig": self._plane.kubelet_kubeconfig(),
            "registry": self.images.file,
            "folder": self._folder / "kubelet",
            "logs": self.logs,
            "certificate": serving.certificate,
            "key": serving.key,
            "authority": self.ca,
            "port": KUBELET_PORT,
        }
        file = self._folder / "kubelet.json"
        file.write_text(json.dumps({key: str(value) for key, value in settings.items()}))
        command = [sys.executable, "-m", "kubernetes.cluster.kubelet", str(file)]
        path = f"{_TESTS}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
        return Program(command, self._folder / "kubelet.log", {"PYTHONPATH": path})

    def _await_node(self) -> None:
        with self.client() as client:
            self._kubelet.wait_for(
                lambda: _unless_missing(lambda: client.get(Node, node.NAME)) is not None, "the node"
            )


def is_ready(pod: Pod) -> bool:
    """Return whether a pod's condition Ready is true."""
    conditions = (pod.status and pod.status.conditions) or []
    return any(each.type == "Ready" and each.status == "True" for each in conditions)


def _there(client: Client, namespace: str) -> object:
    return client.get(ServiceAccount, "default", namespace=namespace)


def _unless_missing(condition: Callable[[], Any]) -> Any:
    try:
        return condition()
    except ApiError as error:
        if error.status.code != 404:
            raise
        return None
