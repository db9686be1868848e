"""Which cluster is meant, and who asks there."""

from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

_GIVE = "give --kubeconfig FILE or --context NAME"


def cluster_config(kubeconfig: str = "", context: str = "") -> SingleConfig:
    """Find the API server as kubectl does, or as a pod's service account says.

    Args:
        kubeconfig: A file; by default that of the environment, of the pod, or of the home folder.
        context: Which of the file's contexts; its current one by default.

    Raises:
        OSError: There is none, or it can't be read.
    """
    try:
        found = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        config = found.get(context or None)
    except (ConfigError, ValueError) as error:
        raise OSError(f"no Kubernetes cluster: {error}; {_GIVE}") from error
    if config is None or not config.cluster.server:
        raise OSError(f"no Kubernetes cluster: the kubeconfig names none; {_GIVE}")
    return config
