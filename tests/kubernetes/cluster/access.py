"""Ways into the cluster: kubeconfig files, and tokens of service accounts."""

from collections.abc import Mapping
from pathlib import Path

import yaml


def write_kubeconfig(
    path: Path, server: str, ca: Path, user: Mapping[str, str], namespace: str = "default"
) -> None:
    """Write a kubeconfig with one context.

    Args:
        path: The file to write.
        server: The API server's URL.
        ca: The certificate that the server's is signed with.
        user: The user's entry: `token`, or `client-certificate` and `client-key`.
        namespace: The context's namespace.
    """
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": "test", "user": dict(user)}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
