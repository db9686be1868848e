"""Objects of the Kubernetes API, as typed views of its JSON.

A view names the fields that its reader needs. Invariant: the decoder skips everything else, so that thousands of
objects take little time and memory. Code that writes a whole object back reads it as `Json` instead.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from msgspec import Raw, Struct, field

Json = dict[str, Any]
"""A whole object, with the fields that this version of Detour does not know."""


class View(Struct, frozen=True, rename="camel"):
    """An object of the API, or a part of one."""


class Metadata(View, frozen=True):
    """What every object has (meta/v1, ObjectMeta)."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    deletion_timestamp: str | None = None

    def label(self, name: str) -> str:
        """Return a label's value; "" if there is none."""
        return (self.labels or {}).get(name, "")

    def annotation(self, name: str) -> str:
        """Return an annotation's value; "" if there is none."""
        return (self.annotations or {}).get(name, "")


class KubernetesObject(View, frozen=True):
    """An object, of any kind."""

    metadata: Metadata = Metadata()

    @property
    def is_ending(self) -> bool:
        """Whether its deletion has begun."""
        return self.metadata.deletion_timestamp is not None


ObjectT = TypeVar("ObjectT", bound=KubernetesObject)
T = TypeVar("T")


class ListMetadata(View, frozen=True):
    """The version of a list, and the token of its next page (meta/v1, ListMeta)."""

    resource_version: str = ""
    continue_: str = field(default="", name="continue")


class Page(View, Generic[T], frozen=True):
    """A list, or a page of one."""

    metadata: ListMetadata
    items: tuple[T, ...] | None = ()


class WatchLine(View, frozen=True):
    """A line of a watch (meta/v1, WatchEvent); the type decides what the object is."""

    type: str
    object: Raw


class StatusCause(View, frozen=True):
    """One machine-readable reason of a refusal (meta/v1)."""

    reason: str = ""


class StatusDetails(View, frozen=True):
    """The machine-readable part of a refusal (meta/v1)."""

    causes: tuple[StatusCause, ...] | None = ()


class Status(View, frozen=True):
    """Why the API server refused (meta/v1)."""

    code: int = 0
    message: str = ""
    details: StatusDetails | None = None


class Version(View, frozen=True):
    """The API server's version."""

    major: str
    minor: str
