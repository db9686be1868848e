"""Real services: an override that enters one leaves it again, whatever it is made of."""

from collections.abc import AsyncIterator, Iterable

import pytest

from propagation.driver import Outcome, RunningService
from propagation.rows import Service, together
from propagation.suite import Suite, is_packaged, services, why_not

AT_ONCE = 32
REQUESTS = 100
REQUESTS_ALONE = 25  # of what is only told


def packaged(service: Service) -> list[str]:
    """Return the clients for which PyPI, npm and Debian are enough."""
    return [client for client in service.clients if is_packaged(service, client)]


SERVICES = [pytest.param(one, id=one.name, marks=[] if packaged(one) else [pytest.mark.more]) for one in services()]

SDK = [
    pytest.param(True, id="with Detour"),
    pytest.param(False, id="OpenTelemetry alone", marks=pytest.mark.more),  # it asserts nothing of ours
]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("sdk", SDK)
async def test_what_enters_leaves_again(
    suite: Suite, service: Service, sdk: bool, record_property, pytestconfig: pytest.Config
) -> None:
    """One request at a time, and a hundred at once with overrides of their own: none is lost, none reaches another.

    Without Detour's SDK nothing is asserted: what is lost then, or does not work at all, is told in the table.
    What comes out of a service for no request at all carries nothing.
    """
    wanted = packaged(service) if pytestconfig.option.markexpr == "not more" else service.clients
    missing = {client: why for client in wanted if (why := why_not(service, client))}
    for why in dict.fromkeys(missing.values()):
        record_property("left out", why)
    clients = [client for client in wanted if client not in missing]
    if not clients:
        pytest.skip("; ".join(dict.fromkeys(missing.values())))
    async with suite.running(service, clients, sdk=sdk) as process:
        groups = together(service, clients) if sdk else zip(clients)
        async for client, outcome in sent(process, service, groups, REQUESTS if sdk else REQUESTS_ALONE):
            record_property("row", [service.name, client, "with" if sdk else "without", outcome.verdict])
            assert outcome.verdict == "kept" or not sdk, (client, outcome)
    assert set(suite.sink.seen.get("tick-on", [""])) == {""}


async def sent(
    process: RunningService, service: Service, groups: Iterable[tuple[str, ...]], requests: int
) -> AsyncIterator[tuple[str, Outcome]]:
    """Send a service two requests one by one, and so many that interleave; give each client's outcome."""
    for clients in groups:
        first = await process.run(service, clients, 2, 1)
        broken = any(one.failed for one in first.values())
        more = {} if broken else await process.run(service, clients, requests, AT_ONCE)
        for client, outcome in first.items():
            yield client, outcome.and_those(more.get(client, Outcome()))
