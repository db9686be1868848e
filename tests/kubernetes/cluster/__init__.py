"""A real Kubernetes cluster for tests, with a kubelet that really runs pods.

etcd, kube-apiserver, kube-controller-manager and kube-proxy are the real ones, the kubelet and the scheduler ours.

Everything runs in one network namespace, the node (`node.py`), which the test process enters with the `cluster`
fixture: pods' addresses (10.88.0.0/16), ClusterIPs (10.96.0.0/16) and the API server (https://10.87.0.1:6443) are
reached straight from a test, on IPv4. All of it ends with the test process, however that ends. Needs root.
`cluster` is one for the session, `namespace` a fresh one for each test:

    def test_users_answers(cluster: Cluster, namespace: str) -> None:
        cluster.images["registry/users:1"] = Image((sys.executable, "-c", SCRIPT))
        with cluster.client() as client:
            client.create(pod, namespace=namespace)
            ready = cluster.wait_ready(namespace, "users-0")
            assert httpx.get(f"http://{ready.status.podIP}:8080/").status_code == 200

`Cluster` has:

- `kubeconfig`, `ca`, `server`: paths of the admin's kubeconfig and of the API server's CA, and its URL, which holds
  in pods too;
- `client()`, `async_client()`: lightkube clients, of the admin or of a kubeconfig;
- `http()`: an HTTP client of the API server, as admin, for what lightkube has no call for (`previous` logs);
- `namespace(prefix, labels)`: a further namespace, as a context manager;
- `images`: the registry, a mapping of name with tag to `Image`; a name that is not in it gives ErrImagePull;
- `token_for(namespace, account)`, `kubeconfig_for(namespace, account)`: to act as a service account;
- `wait_for(condition, what)`, `wait_ready(namespace, pod)`, `wait_for_pod(namespace, pod, condition)`: waits with a
  deadline;
- `pids(pod)`: process id of each container (kill one to crash it); `run_in(pod, container, *command)`: a command
  inside one;
- `forward.forwarded(pid, port)`: `kubectl port-forward`, as a context manager;
- `stop_api()`, `start_api()`: an API server that is away; `compact()`: 410 Gone for older resourceVersions;
- `logs`: the folder of the containers' logs; `processes`: the cluster's own process ids.

What the kubelet does: schedules to its one Node, by room (64 cores, 64 GiB) and nodeSelector; gives each pod a
network namespace with an address of its own, each container a PID namespace and a private view of the machine's
files (changes are its own, in memory; the machine's Python and this checkout are there); command, args, env with
every kind of reference and `$(NAME)`; init containers and native sidecars; startup, readiness and liveness probes;
postStart and preStop; restarts with CrashLoopBackOff; image pull failures, imagePullSecrets (`Image.login`);
runAsUser, runAsNonRoot, fsGroup, capabilities (NET_ADMIN lets iptables work in the pod), read-only roots; volumes
emptyDir, configMap, secret, downwardAPI, projected with service-account tokens, hostPath; updates of them; the
cluster's DNS; Services' variables; graceful ends; logs through the API server (not `timestamps` or `since`);
events. What it does not: NetworkPolicy, resource limits, eviction, `exec`, `attach` and `port-forward` through the
API server, ephemeral containers, IPv6, token renewal. Two things are quicker than in the real one: back-offs (1 s
to 10 s), and probes until their first success (every 50 ms). A pod bound to a node of another name
(`spec.nodeName`) is left alone: its status is the test's to write.
"""

from .cluster import Cluster, is_ready
from .kubelet.images import Image
from .programs import ClusterError

__all__ = ["Cluster", "ClusterError", "Image", "is_ready"]
