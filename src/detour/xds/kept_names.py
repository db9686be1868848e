"""The names that the server keeps up to date for one Envoy, within limits.

Invariant: each kept name is counted (`detour.xds.holdings`) and is found by the subject that it depends on. Envoy
never requests a cluster again that it received and then lost. The server therefore remembers the names of withdrawn
clusters until it needs the room.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, KeysView, Mapping

from detour.xds.catalog import CLUSTER, Catalog, Key
from detour.xds.holdings import Holdings, is_keepable
from detour.xds.subscription import Subscription


class KeptNames:
    """The kept names of one stream.

    Args:
        catalog: Resolves names to subjects.
        subscriptions: The Envoy's subscriptions, by type URL, with a default for types without one.
        holdings: Counts the names.
        forgotten: Called with each name that the server forgets, to forget everything else about it.
    """

    def __init__(
        self,
        catalog: Catalog,
        subscriptions: Mapping[str, Subscription],
        holdings: Holdings,
        forgotten: Callable[[Key], None],
    ) -> None:
        self._catalog = catalog
        self._subscriptions = subscriptions
        self._holdings = holdings
        self._forgotten = forgotten
        self._keys: defaultdict[str, set[Key]] = defaultdict(set)

    @property
    def subjects(self) -> KeysView[str]:
        """The subjects that kept names depend on."""
        return self._keys.keys()

    def of(self, subject: str) -> Iterator[Key]:
        """Yield the kept names that depend on a subject."""
        yield from self._keys.get(subject, ())

    def watch(self, subject: str, key: Key) -> None:
        """Add a name that depends on a subject."""
        self._keys[subject].add(key)

    def unwatch(self, subject: str, key: Key) -> None:
        """Remove a name that `watch` added."""
        self._keys[subject].discard(key)
        if not self._keys[subject]:
            del self._keys[subject]

    def keep(self, key: Key, version: str) -> bool:
        """Start to keep a name up to date; return whether there is room for it.

        Args:
            key: The name.
            version: The version that the Envoy says it has; "" for none.
        """
        subscription = self._subscriptions[key.type_url]
        if key.name in subscription.sent:
            return True
        if not (key.name in subscription.covered or self._has_room(key)):
            # Not kept, so a later request for the name must look like the first one.
            subscription.names.discard(key.name)
            return False
        self._holdings.keep(key)
        subscription.sent[key.name] = version
        self.watch(self._catalog.subject(key), key)
        return True

    def forget(self, key: Key) -> None:
        """Stop keeping a name."""
        subscription = self._subscriptions[key.type_url]
        subscription.acknowledged.pop(key.name, None)
        self._forgotten(key)
        was_kept = subscription.sent.pop(key.name, None) is not None
        self._holdings.forget(key, was_kept=was_kept)
        if was_kept:
            self.unwatch(self._catalog.subject(key), key)

    def withdraw_others(self, name: str) -> None:
        """Make room for a cluster that stands for nothing in the mesh: withdraw older ones of that sort."""
        subscription = self._subscriptions[CLUSTER]
        for withdrawn in self._holdings.withdraw_for(name):
            subscription.acknowledged.pop(withdrawn, None)
            subscription.removed[withdrawn] = None

    def _has_room(self, key: Key) -> bool:
        """Return whether one more name can be kept. Forget names of withdrawn clusters if that makes room."""
        while is_keepable(key.name) and not self._holdings.fits(key):
            name = self._holdings.oldest_withdrawn()
            if name is None:
                break
            self._subscriptions[CLUSTER].names.discard(name)
            self.forget(Key(CLUSTER, name))
        if is_keepable(key.name) and self._holdings.fits(key):
            return True
        self._holdings.not_kept += 1
        return False
