"""One client's subscription to one resource type, and what the client holds (xDS protocol, "Incremental xDS").

Invariant: pure state, without resources. A client is subscribed to the names that it listed and, while it is
subscribed to "*", to everything that "*" covers. A client that has never listed a name, and sends a request without
names, is subscribed to "*" ("How the client specifies what resources to return").
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request

WILDCARD: Final = "*"


@dataclass(slots=True)
class Subscription:
    """The state of one resource type.

    Args:
        names: The names that the client subscribed to.
        has_wildcard: Whether the client is subscribed to "*".
        covered: The names that "*" covers; empty without a subscription to "*".
        sent: The names that are kept up to date, with the version last sent, or the one that the client reported.
        acknowledged: The versions that the client acknowledged.
        claims: The versions that a reconnecting client reported and that have not been processed yet.
        due: The names to process, in order: True to send in any case, False to send only if the version differs.
        removed: The names to report as removed.
        owes_response: Whether the client waits for a response, even an empty one.
    """

    names: set[str] = field(default_factory=set)
    has_wildcard: bool = False
    covered: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    due: "OrderedDict[str, bool]" = field(default_factory=OrderedDict)
    removed: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    owes_response: bool = False
    _is_open: bool = False
    _has_named: bool = False

    def take(self, request: Request) -> bool:
        """Apply a request's subscriptions and unsubscriptions; return whether it subscribes to "*".

        Subscriptions apply before unsubscriptions, whatever the nonce.
        """
        self._open(request)
        subscribes_to_all = self._subscribes_to_all(request)
        self.has_wildcard = self.has_wildcard or subscribes_to_all
        named = [name for name in request.resource_names_subscribe if name != WILDCARD]
        self.names.update(named)
        # Also for names that are subscribed to already: a client that asks again has lost what it was sent.
        self.due.update(dict.fromkeys(named, True))
        for name in request.resource_names_unsubscribe:
            self._unsubscribe(name)
        return subscribes_to_all and self.has_wildcard

    def cover(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """Set what "*" covers; return the added names, and the removed names that are not subscribed to by name."""
        before, self.covered = self.covered, set(names) if self.has_wildcard else set()
        return sorted(self.covered - before), sorted(before - self.covered - self.names)

    def wants(self, name: str) -> bool:
        """Return whether the client is subscribed to a resource, by name or by "*"."""
        return name in self.names or name in self.covered

    def schedule(self, name: str) -> None:
        """Schedule a resource to be sent, even if the client has its version."""
        self.due[name] = True

    def schedule_first(self, name: str) -> None:
        """Schedule a resource to be sent before all others."""
        self.schedule(name)
        self.due.move_to_end(name, last=False)

    def schedule_if_changed(self, names: Iterable[str]) -> None:
        """Schedule resources to be sent if the client has another version."""
        for name in names:
            self.due.setdefault(name, False)

    @property
    def is_due(self) -> bool:
        """Whether there is a name to process or a response to send."""
        return bool(self.due or self.removed or self.owes_response)

    def _open(self, request: Request) -> None:
        """Trust the versions that a client reports in its first request: versions are hashes of content."""
        if self._is_open:
            return
        self._is_open = True
        self.claims = dict(request.initial_resource_versions)
        self.schedule_if_changed(self.claims)
        self.owes_response = not request.resource_names_unsubscribe

    def _subscribes_to_all(self, request: Request) -> bool:
        names_none = not (request.resource_names_subscribe or request.resource_names_unsubscribe)
        is_legacy = names_none and not self._has_named and not self.has_wildcard
        says_so = WILDCARD in request.resource_names_subscribe
        self._has_named = self._has_named or bool(request.resource_names_subscribe)
        self.owes_response = self.owes_response or says_so
        return says_so or is_legacy

    def _unsubscribe(self, name: str) -> None:
        if name == WILDCARD:
            # From here on, a request without names is no longer a subscription to "*".
            self.has_wildcard, self._has_named = False, True
            return
        if name in self.names or name in self.covered:
            # With "*", the client cannot know whether it should keep the resource, so the server has to answer.
            self.names.discard(name)
            self.schedule(name)
