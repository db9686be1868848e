"""etcd, kube-apiserver, kube-controller-manager and kube-proxy: the real ones, with settings that suit tests.

Everything listens in the node's namespace, so the ports are fixed. The API server's address and etcd's data outlive
a restart.
"""

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from . import node
from .access import write_kubeconfig
from .certificates import Authority, Identity
from .programs import ClusterError, Program, built

SERVER = f"https://{node.ADDRESS}:6443"
KUBELET_PORT = 10250
_ETCD = "http://127.0.0.1:2379"
_FIRST_SERVICE = "10.96.0.1"

_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
)


class ControlPlane:
    """The running control plane. `folder` holds its data, certificates, kubeconfigs and logs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binaries = built()
        self.authority = Authority(folder / "pki")
        self.ca = self.authority.certificate
        self._accounts_key = self.authority.signing_key()
        self._admin = self.authority.sign("admin", "system:masters")
        self.kubeconfig = self._kubeconfig("admin", self._admin)

    def start(self) -> None:
        """Start etcd and the API server, which is not ready when this returns."""
        self.etcd = self._start_etcd()
        self.api = self._start_api()

    def complete(self) -> None:
        """Wait until the API server is ready, and start what works on it."""
        self.await_api()
        self.controllers = self._start_controllers()
        self.proxy = self._start_proxy()

    def ensure_api(self) -> None:
        """Start the API server if a test has left it ended, and wait until it is ready."""
        if not self.api.running:
            self.restart_api()
        self.await_api()

    def restart_api(self) -> None:
        """Start the API server again, wait until it is ready, and start anew what works on it.

        After an outage controllers and proxy wait before they ask again, up to a minute: longer than tests do.
        """
        self.api.start()
        self.await_api()
        for program in (self.controllers, self.proxy):
            program.kill()
            program.start()

    def await_api(self) -> None:
        """Wait until the API server says that it is ready (`/readyz`)."""
        trust = self.admin_trust()
        self.api.wait_for(lambda: _answers(f"{SERVER}/readyz", trust), "/readyz")

    def admin_trust(self) -> ssl.SSLContext:
        """Return what a TLS client needs to be the admin."""
        trust = ssl.create_default_context(cafile=str(self.ca))
        trust.load_cert_chain(self._admin.certificate, self._admin.key)
        return trust

    def kubelet_kubeconfig(self) -> Path:
        """Write a kubeconfig for the node's kubelet, which schedules too: it may do everything."""
        return self._kubeconfig("kubelet", self.authority.sign("test-kubelet", "system:masters"))

    def compact(self) -> None:
        """Drop etcd's history.

        Its own watch cache still answers what it remembers, until it is restarted.
        """
        revision = _etcd_call("maintenance/status", {})["header"]["revision"]
        _etcd_call("kv/compaction", {"revision": revision, "physical": True})

    def stop(self) -> None:
        """End everything that was started, clients first."""
        for name in ("proxy", "controllers", "api", "etcd"):
            program = getattr(self, name, None)
            if program is not None:
                program.kill()

    def _start_etcd(self) -> Program:
        data = self._folder / "etcd"
        data.mkdir()
        command = [
            # Each write waits for the disk; in memory that takes no time. What only it sees goes with it.
            *("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', str(data)),
            *("etcd", "--data-dir", str(data / "data")),
            *("--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD),
            *("--listen-peer-urls", "http://127.0.0.1:2380"),
            *("--quota-backend-bytes", str(4 << 30), "--snapshot-count", "100000"),
            *("--logger", "zap", "--log-level", "warn"),
        ]
        etcd = Program(command, self._log("etcd"))
        etcd.wait_for(lambda: _answers(f"{_ETCD}/health", None), "its health")
        return etcd

    def _start_api(self) -> Program:
        hosts = (
            node.ADDRESS,
            "127.0.0.1",
            _FIRST_SERVICE,
            "localhost",
            "kubernetes.default.svc",
            "kubernetes.default",
        )
        serving = self.authority.sign("kube-apiserver", hosts=hosts)
        to_kubelet = self.authority.sign("kube-apiserver-kubelet-client", "system:masters")
        command = [
            str(self._binaries / "kube-apiserver"),
            f"--etcd-servers={_ETCD}",
            f"--advertise-address={node.ADDRESS}",
            "--secure-port=6443",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.ca}",
            "--authorization-mode=RBAC",
            "--anonymous-auth=true",
            f"--service-account-issuer={SERVER}",
            f"--service-account-signing-key-file={self._accounts_key}",
            f"--service-account-key-file={self._accounts_key}",
            f"--api-audiences={SERVER}",
            f"--service-cluster-ip-range={node.SERVICES}",
            f"--kubelet-certificate-authority={self.ca}",
            f"--kubelet-client-certificate={to_kubelet.certificate}",
            f"--kubelet-client-key={to_kubelet.key}",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-aggregator-routing=true",  # webhooks are called at pods' own addresses
            "--allow-privileged=true",
            "--max-requests-inflight=4000",
            "--max-mutating-requests-inflight=2000",
            "--enable-priority-and-fairness=false",
            "--event-ttl=1h",
            "--shutdown-delay-duration=0s",
            "--endpoint-reconciler-type=master-count",
        ]
        return Program(command, self._log("kube-apiserver"))

    def _start_controllers(self) -> Program:
        identity = self.authority.sign("system:kube-controller-manager", "system:masters")
        command = [
            str(self._binaries / "kube-controller-manager"),
            f"--kubeconfig={self._kubeconfig('kube-controller-manager', identity)}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--leader-elect=false",
            "--use-service-account-credentials=false",
            f"--service-account-private-key-file={self._accounts_key}",
            f"--root-ca-file={self.ca}",
            "--kube-api-qps=2000",
            "--kube-api-burst=4000",
            "--concurrent-deployment-syncs=10",
            "--concurrent-replicaset-syncs=10",
            "--concurrent-service-endpoint-syncs=10",
            "--concurrent-namespace-syncs=20",
            "--concurrent-gc-syncs=20",
            "--bind-address=127.0.0.1",
        ]
        return Program(command, self._log("kube-controller-manager"))

    def _start_proxy(self) -> Program:
        identity = self.authority.sign("system:kube-proxy", "system:masters")
        command = [
            str(self._binaries / "kube-proxy"),
            f"--kubeconfig={self._kubeconfig('kube-proxy', identity)}",
            f"--hostname-override={node.NAME}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={node.PODS}",
            "--iptables-min-sync-period=50ms",
            "--iptables-localhost-nodeports=false",
            # What belongs to the whole machine rather than to a network namespace stays as it is.
            "--conntrack-max-per-core=0",
            "--conntrack-min=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
            "--oom-score-adj=0",
        ]
        return Program(command, self._log("kube-proxy"))

    def _kubeconfig(self, name: str, identity: Identity) -> Path:
        path = self._folder / f"{name}.kubeconfig"
        files = {"client-certificate": str(identity.certificate), "client-key": str(identity.key)}
        write_kubeconfig(path, SERVER, self.ca, files)
        return path

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _opener(trust: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))


def _answers(url: str, trust: ssl.SSLContext | None) -> bool:
    try:
        with _opener(trust).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _etcd_call(method: str, body: dict[str, Any]) -> dict[str, Any]:
    """Call etcd's JSON gateway.

    Raises:
        ClusterError: It refused.
    """
    request = urllib.request.Request(f"{_ETCD}/v3/{method}", json.dumps(body).encode())
    try:
        with _opener(None).open(request, timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except urllib.error.HTTPError as refused:
        raise ClusterError(f"etcd refused {method}: {refused.read().decode(errors='replace')}") from refused
