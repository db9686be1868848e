"""Resource quantities (`k8s.io/apimachinery/pkg/api/resource`), and how much of them a pod asks for."""

from .api import Json

_SUFFIXES = {
    "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def quantity(text: str | float) -> float:
    """Read a quantity: `500m` is 0.5, `1Ki` is 1024."""
    words = str(text)
    number = words.rstrip("mkMGTPEi") if not words[-1:].isdigit() else words
    return float(number) * _SUFFIXES[words[len(number) :]]


def requests(pod: Json) -> dict[str, float]:
    """Return the `cpu` (cores) and `memory` (bytes) that a pod asks for.

    That is its containers and native sidecars together, or the greatest of its init containers where that is more.
    """
    spec = pod["spec"]
    return {name: _requested(spec, name) for name in ("cpu", "memory")}


def _requested(spec: Json, name: str) -> float:
    first = spec.get("initContainers") or []
    sidecars = sum(_of(each, name) for each in first if each.get("restartPolicy") == "Always")
    together = sum(_of(each, name) for each in spec["containers"]) + sidecars
    return max([together, *(_of(each, name) for each in first if each.get("restartPolicy") != "Always")])


def _of(container: Json, name: str) -> float:
    return quantity((container.get("resources", {}).get("requests") or {}).get(name, "0"))
