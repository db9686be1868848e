"""What a service is asked for: the clients by which it is to call on, and a request's number."""

from collections.abc import Iterator


def errands(clients: str, number: str) -> Iterator[tuple[str, str]]:
    """Give each client and the number to call on with, which ends with the client's place if there are several."""
    names = clients.split(",")
    for place, client in enumerate(names):
        yield client, number if len(names) == 1 else f"{number}.{place}"


def read(errand: str) -> Iterator[tuple[str, str]]:
    """The same for what a message says: `requests,httpx/17`."""
    clients, _, number = errand.partition("/")
    return errands(clients, number)
