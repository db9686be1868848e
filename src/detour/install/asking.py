"""Asking the cluster for an installation, with refusals in words for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx2
from lightkube import ApiError, Client
from lightkube.config.kubeconfig import SingleConfig
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration

_WEBHOOKS: Final = "detour"
"""The chart's one object whose name is the cluster's: so it says whether Detour is installed, and where."""

MANAGER: Final = "app.kubernetes.io/managed-by"
_HELM: Final = "Helm"


@dataclass(frozen=True, slots=True)
class Present:
    """An installation that is there.

    Args:
        namespace: The server's; empty if it does not say.
        is_helms: Whether Helm put it there, and so keeps it.
    """

    namespace: str
    is_helms: bool


@contextmanager
def asking(client: Client, config: SingleConfig) -> Iterator[Client]:
    """Use and close a client.

    Raises:
        RuntimeError: The cluster refuses, with its words (who may not do what), or cannot be heard.
    """
    try:
        with client:
            yield client
    except ApiError as error:
        raise RuntimeError(f"the cluster refuses: {error}") from error
    except httpx2.HTTPError as error:
        raise RuntimeError(f"the API server at {config.cluster.server} cannot be heard: {error}") from error


def present(client: Client) -> Present | None:
    """Find the installation that is in the cluster; None if there is none."""
    try:
        found = client.get(MutatingWebhookConfiguration, _WEBHOOKS)
    except ApiError as error:
        if error.response.status_code == HTTPStatus.NOT_FOUND:
            return None
        raise
    labels = (found.metadata and found.metadata.labels) or {}
    services = [one.clientConfig.service for one in found.webhooks or [] if one.clientConfig.service]
    return Present(services[0].namespace if services else "", labels.get(MANAGER) == _HELM)
