"""The registry: which images there are, and what runs for each.

A JSON file that the tests write (`Cluster.images`) and the kubelet reads at each pull, so that images may come and
go.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class PullError(RuntimeError):
    """An image can't be had; the message is what a registry would say."""


@dataclass(frozen=True)
class Image:
    """What an image brings.

    Attributes:
        entrypoint: The program, which a container's `command` replaces.
        command: Its arguments, which a container's `args` replace.
        env: Environment variables, below those of the container.
        user: The user id that it runs as.
        directory: The working directory.
        login: `user:password` that a pull needs, from one of the pod's imagePullSecrets; empty for a public image.
    """

    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: int = 0
    directory: str = "/"
    login: str = ""


def pull(registry: Path, name: str, secrets: Iterable[Mapping[str, Any]]) -> Image:
    """Return the image of this name.

    Raises:
        PullError: There is none, or its login is in none of these secrets (`kubernetes.io/dockerconfigjson`).
    """
    table = json.loads(registry.read_text(encoding="utf-8"))
    if name not in table:
        raise PullError(
            f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": {name}: not found'
        )
    content = table[name]
    if content["login"] and content["login"] not in _logins(secrets):
        raise PullError(
            f'failed to pull and unpack image "{name}": pull access denied: authorization failed: no basic auth'
        )
    return Image(**{**content, "entrypoint": tuple(content["entrypoint"]), "command": tuple(content["command"])})


def _logins(secrets: Iterable[Mapping[str, Any]]) -> set[str]:
    found = set()
    for secret in secrets:
        config = json.loads(base64.b64decode((secret.get("data") or {}).get(".dockerconfigjson", "e30=")))
        for entry in config.get("auths", {}).values():
            known = base64.b64decode(entry.get("auth", "")).decode()
            found.add(known or f"{entry.get('username')}:{entry.get('password')}")
    return found
