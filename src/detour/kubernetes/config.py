"""Which cluster is meant, and the credentials for it."""

from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.kubeconfig import SingleConfig as ClusterConfig
from lightkube.core.exceptions import ConfigError

__all__ = ["ClusterConfig", "cluster_config"]

_GIVE = "give --kubeconfig FILE or --context NAME"


def cluster_config(kubeconfig: str = "", context: str = "") -> ClusterConfig:
    """Find the API server as kubectl does, or as a pod's service account says.

    Args:
        kubeconfig: A file; by default that of the environment, of the pod, or of the home folder.
        context: Which of the file's contexts; its current one by default.

    Raises:
        OSError: No cluster was found, or the file is unreadable.
    """
    try:
        found = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        config = found.get(context or None)
    except (ConfigError, ValueError) as error:
        raise OSError(f"no Kubernetes cluster: {error}; {_GIVE}") from error
    if config is None or not config.cluster.server:
        raise OSError(f"no Kubernetes cluster: the kubeconfig names none; {_GIVE}")
    return config
