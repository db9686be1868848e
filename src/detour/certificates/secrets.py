"""Reads and writes Secrets and the webhook's configuration.

Invariant: thin. Every write contains the version that was read (`metadata.resourceVersion`), so that it fails if
the object has changed since. It is a patch, so that other people's labels and fields stay.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from detour.certificates.contents import Data, SecretChange
from detour.kubernetes.api import Api, Patch
from detour.kubernetes.kinds import SECRETS, WEBHOOKS
from detour.kubernetes.objects import KubernetesObject
from detour.kubernetes.views import Webhooks


class Secret(KubernetesObject, frozen=True):
    """A Secret (core/v1)."""

    data: Mapping[str, str] | None = None


_LABELS: Final = {"app.kubernetes.io/managed-by": "detour", "app.kubernetes.io/part-of": "detour"}
_TYPE: Final = "kubernetes.io/tls"


@dataclass(frozen=True, slots=True)
class Stored:
    """The content of an object, with its version.

    Args:
        data: The content; None if the object does not exist.
        version: Its `resourceVersion`.
    """

    data: Data | None
    version: str = ""


async def read_secret(api: Api, namespace: str, name: str) -> Stored:
    """Read a Secret; values that are not base64 become empty.

    Raises:
        ApiError: It could not be read.
    """
    found = await api.get(SECRETS.read_as(Secret), name, namespace)
    if found is None:
        return Stored(None)
    data = {key: _decoded(value) for key, value in (found.data or {}).items()}
    return Stored(data, found.metadata.resource_version)


async def write_secret(api: Api, namespace: str, name: str, held: Stored, change: SecretChange) -> None:
    """Create or change a Secret.

    Raises:
        ApiError: It was not written; code 409 is a conflict with another write.
    """
    encoded = {key: _encoded(value) for key, value in change.data.items()}
    if held.data is not None:
        patch = {"metadata": {"resourceVersion": held.version}, "data": encoded}
        await api.patch(SECRETS, name, patch, namespace)
        return
    made = {key: value for key, value in encoded.items() if value is not None}
    metadata = {"name": name, "namespace": namespace, "labels": _LABELS}
    await api.create(SECRETS.object(metadata, data=made, type=_TYPE))


async def read_bundles(api: Api, name: str) -> Stored:
    """Read the CA bundles of webhooks, by webhook name; the data is None if they are not installed.

    Raises:
        ApiError: It could not be read.
    """
    found = await api.get(WEBHOOKS.read_as(Webhooks), name)
    if found is None:
        return Stored(None)
    bundles = {each.name: _decoded(each.client_config.ca_bundle) for each in found.webhooks or ()}
    return Stored(bundles, found.metadata.resource_version)


async def write_bundles(api: Api, name: str, version: str, bundles: Mapping[str, bytes]) -> None:
    """Write the CA bundles of webhooks.

    Raises:
        ApiError: They were not written; code 409 is a conflict with another write.
    """
    webhooks = [
        {"name": webhook, "clientConfig": {"caBundle": _encoded(bundle)}} for webhook, bundle in bundles.items()
    ]
    # A strategic merge patch matches list entries by name; a merge patch would replace the list.
    patch = {"metadata": {"resourceVersion": version}, "webhooks": webhooks}
    await api.patch(WEBHOOKS, name, patch, how=Patch.STRATEGIC)


def _decoded(value: str | None) -> bytes:
    try:
        return base64.b64decode(value or "", validate=True)
    except binascii.Error:
        return b""


def _encoded(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
