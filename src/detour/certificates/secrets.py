"""Secrets and the webhook's configuration, as the API server keeps them.

Invariant: thin. Every write names the version that was read (`metadata.resourceVersion`), so it changes what was
looked at and nothing else; it is a patch, so labels and whatever else people put there stay.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx2
from lightkube import ApiError, AsyncClient
from lightkube.models.core_v1 import Secret as SecretModel
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.core_v1 import Secret
from lightkube.types import PatchType

from detour.certificates.contents import Change, Data

_LABELS: Final = {"app.kubernetes.io/managed-by": "detour", "app.kubernetes.io/part-of": "detour"}
_TYPE: Final = "kubernetes.io/tls"


@dataclass(frozen=True, slots=True)
class Stored:
    """Something with a version.

    Args:
        data: What it holds; None if it is not there.
        version: Its `resourceVersion`.
    """

    data: Data | None
    version: str = ""


def status_of(error: Exception) -> int:
    """Return the HTTP status of a refusal; 0 where there was no answer."""
    return error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else 0


async def read_secret(client: AsyncClient, namespace: str, name: str) -> Stored:
    """Read a Secret; what is no base64 in it reads as empty.

    Raises:
        API_FAILURES: It could not be read.
    """
    try:
        found = await client.get(Secret, name, namespace=namespace)
    except ApiError as error:
        if status_of(error) == HTTPStatus.NOT_FOUND:
            return Stored(None)
        raise
    return Stored({key: _decoded(value) for key, value in (found.data or {}).items()}, _version(found))


async def write_secret(client: AsyncClient, namespace: str, name: str, held: Stored, change: Change) -> None:
    """Make or change a Secret.

    Raises:
        API_FAILURES: It was not written; with status 409 because somebody else was quicker.
    """
    encoded = {key: _encoded(value) for key, value in change.data.items()}
    if held.data is not None:
        patch = {"metadata": {"resourceVersion": held.version}, "data": encoded}
        await client.patch(Secret, name, patch, namespace=namespace, patch_type=PatchType.MERGE)
        return
    made = {key: value for key, value in encoded.items() if value is not None}
    metadata = ObjectMeta(name=name, namespace=namespace, labels=_LABELS)
    await client.create(Secret(metadata=metadata, data=made, type=_TYPE))


async def read_bundles(client: AsyncClient, name: str) -> Stored:
    """Read what the API server trusts when it calls webhooks: by their names; nothing if they are not installed.

    Raises:
        API_FAILURES: It could not be read.
    """
    try:
        found = await client.get(MutatingWebhookConfiguration, name)
    except ApiError as error:
        if status_of(error) == HTTPStatus.NOT_FOUND:
            return Stored(None)
        raise
    webhooks = found.webhooks or []
    return Stored({each.name: _decoded(each.clientConfig.caBundle) for each in webhooks}, _version(found))


async def write_bundles(client: AsyncClient, name: str, version: str, bundles: Mapping[str, bytes]) -> None:
    """Say what the API server is to trust when it calls these webhooks.

    Raises:
        API_FAILURES: It was not written; with status 409 because somebody else was quicker.
    """
    webhooks = [
        {"name": webhook, "clientConfig": {"caBundle": _encoded(bundle)}} for webhook, bundle in bundles.items()
    ]
    # A strategic merge patch finds list entries by name; a merge patch would replace the list.
    patch = {"metadata": {"resourceVersion": version}, "webhooks": webhooks}
    await client.patch(MutatingWebhookConfiguration, name, patch, patch_type=PatchType.STRATEGIC)


def _version(found: SecretModel | MutatingWebhookConfiguration) -> str:
    return (found.metadata and found.metadata.resourceVersion) or ""


def _decoded(value: str | None) -> bytes:
    try:
        return base64.b64decode(value or "", validate=True)
    except binascii.Error:
        return b""


def _encoded(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
