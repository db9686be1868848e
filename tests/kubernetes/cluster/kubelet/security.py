"""Who a container runs as and what it may do: securityContext of pod and container."""

from .api import Json
from .images import Image
from .sources import ConfigError

# What containerd gives to a container that asks for nothing.
_DEFAULT = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip


def identity(pod: Json, container: Json, image: Image | None) -> Json:
    """Return what the runtime is told of it.

    Raises:
        ConfigError: The container may not run as root, and would.
    """
    common = pod["spec"].get("securityContext") or {}
    chosen = {**common, **(container.get("securityContext") or {})}
    uid = chosen.get("runAsUser", image.user if image else 0)
    if chosen.get("runAsNonRoot") and uid == 0:
        raise ConfigError("container has runAsNonRoot and image will run as root")
    groups = [*common.get("supplementalGroups", []), *([common["fsGroup"]] if "fsGroup" in common else [])]
    return {
        "uid": uid,
        "gid": chosen.get("runAsGroup", 0),
        "groups": groups,
        "capabilities": _capabilities(chosen.get("capabilities") or {}),
        "privileged": chosen.get("privileged", False),
        "read_only": chosen.get("readOnlyRootFilesystem", False),
        "no_new_privileges": chosen.get("allowPrivilegeEscalation") is False,
    }


def _capabilities(asked: Json) -> list[str]:
    dropped = set(asked.get("drop") or [])
    kept = set() if "ALL" in dropped else set(_DEFAULT) - dropped
    return sorted(kept | set(asked.get("add") or []))
