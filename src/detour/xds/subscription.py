"""What one client wants of one type of resources, and what it has (xDS protocol, "Incremental xDS").

Invariant: pure state, without resources. A client wants the names that it has subscribed to, and what "*" stands
for while it is subscribed to that. A client that has never named anything, and sends a request without names, is
subscribed to "*" ("How the client specifies what resources to return").
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request

WILDCARD: Final = "*"


@dataclass(slots=True)
class Subscription:
    """One type's state.

    Args:
        names: What is subscribed to by name.
        takes_all: Whether "*" is subscribed to.
        covered: What "*" stands for; empty without it.
        sent: What is kept up to date, with the version that was last sent, or that the client came with.
        acknowledged: The versions that the client has taken.
        claims: What the client came with, and has not been looked at yet.
        due: What is to be looked at, in order: True is sent in any case, False if the client has another version.
        removed: What is to be sent as removed.
        owes: Whether the client waits for a response, which may be empty.
    """

    names: set[str] = field(default_factory=set)
    takes_all: bool = False
    covered: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    due: "OrderedDict[str, bool]" = field(default_factory=OrderedDict)
    removed: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    owes: bool = False
    _is_open: bool = False
    _has_named: bool = False

    def take(self, request: Request) -> bool:
        """Take what a request subscribes to and unsubscribes from; return whether "*" is asked for.

        Subscriptions count before unsubscriptions, whatever the nonce.
        """
        self._open(request)
        asks_for_all = self._asks_for_all(request)
        self.takes_all = self.takes_all or asks_for_all
        named = [name for name in request.resource_names_subscribe if name != WILDCARD]
        self.names.update(named)
        self.due.update(dict.fromkeys(named, True))
        for name in request.resource_names_unsubscribe:
            self._unsubscribe(name)
        return asks_for_all and self.takes_all

    def cover(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """Say what "*" stands for from here on; return the new names, and those that are no longer wanted."""
        before, self.covered = self.covered, set(names) if self.takes_all else set()
        return sorted(self.covered - before), sorted(before - self.covered - self.names)

    def wants(self, name: str) -> bool:
        """Say whether the client wants a resource, by its name or by "*"."""
        return name in self.names or name in self.covered

    def ask(self, name: str) -> None:
        """Have a resource sent, whatever the client has of it."""
        self.due[name] = True

    def ask_first(self, name: str) -> None:
        """Have a resource sent before everything else that is due."""
        self.ask(name)
        self.due.move_to_end(name, last=False)

    def check(self, names: Iterable[str]) -> None:
        """Have resources sent if the client has another version."""
        for name in names:
            self.due.setdefault(name, False)

    @property
    def is_due(self) -> bool:
        """Whether there is anything to be looked at, or to be sent."""
        return bool(self.due or self.removed or self.owes)

    def _open(self, request: Request) -> None:
        """Believe what a client says in its first request that it holds: versions are made of content."""
        if self._is_open:
            return
        self._is_open = True
        self.claims = dict(request.initial_resource_versions)
        self.check(self.claims)
        self.owes = not request.resource_names_unsubscribe

    def _asks_for_all(self, request: Request) -> bool:
        names_none = not (request.resource_names_subscribe or request.resource_names_unsubscribe)
        is_legacy = names_none and not self._has_named and not self.takes_all
        says_so = WILDCARD in request.resource_names_subscribe
        self._has_named = self._has_named or bool(request.resource_names_subscribe)
        self.owes = self.owes or says_so
        return says_so or is_legacy

    def _unsubscribe(self, name: str) -> None:
        if name == WILDCARD:
            # From here on an empty request is none for everything.
            self.takes_all, self._has_named = False, True
            return
        if name in self.names or name in self.covered:
            # Next to "*" a client cannot know whether it is to keep the resource: it has to be answered.
            self.names.discard(name)
            self.ask(name)
