"""A session of delta xDS, with a client that reads at once what it has to say."""

from collections.abc import Iterable

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from detour.xds.catalog import Catalog
from detour.xds.session import Session


class Conversation:
    """A session whose every answer is read at once."""

    def __init__(self, catalog: Catalog, **options: object) -> None:
        self.session = Session(catalog, **options)

    def receive(self, request: DeltaDiscoveryRequest) -> list[DeltaDiscoveryResponse]:
        """Send a request; return what comes back."""
        self.session.receive(request)
        return self._rest()

    def changed(self, subjects: Iterable[str]) -> list[DeltaDiscoveryResponse]:
        """Say that the catalog changed; return what is sent because of it."""
        self.session.changed(subjects)
        return self._rest()

    def _rest(self) -> list[DeltaDiscoveryResponse]:
        parts = []
        while self.session.is_due:
            parts.append(self.session.respond())
        return [part for part in parts if part is not None]


def ask(type_url: str, *names: str, held: dict[str, str] | None = None) -> DeltaDiscoveryRequest:
    """Return a request that subscribes to names."""
    return DeltaDiscoveryRequest(
        type_url=type_url, resource_names_subscribe=names, initial_resource_versions=held or {}
    )


def ack(response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest:
    """Return the acknowledgement of a response."""
    return DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)


def nack(response: DeltaDiscoveryResponse, message: str) -> DeltaDiscoveryRequest:
    """Return the rejection of a response."""
    request = ack(response)
    request.error_detail.message = message
    return request


def names(responses: Iterable[DeltaDiscoveryResponse]) -> list[tuple[str, list[str]]]:
    """Say what responses carry: the type's last word, and names."""
    return [(one.type_url.rpartition(".")[2], [two.name for two in one.resources]) for one in responses]
