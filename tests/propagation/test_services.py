"""Real services: an override that enters one leaves it again, whatever it is made of."""

import pytest

from propagation.rows import Service, together
from propagation.suite import Suite, is_packaged, services, why_not

AT_ONCE = 32
REQUESTS = 100
REQUESTS_ALONE = 25  # of what is only told

SERVICES = [
    pytest.param(one, id=f"{section}: {one.name}", marks=[] if is_packaged(one) else [pytest.mark.more])
    for section, one in services()
]

SDK = [
    pytest.param(True, id="with Detour"),
    pytest.param(
        False, id="OpenTelemetry alone", marks=pytest.mark.more
    ),  # it is told, and asserts nothing of ours
]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("sdk", SDK)
async def test_what_enters_leaves_again(suite: Suite, service: Service, sdk: bool, record_property) -> None:
    """One request at a time, and a hundred at once with overrides of their own: none is lost, none reaches another.

    Without Detour's SDK nothing is asserted: what is lost then, or does not work at all, is told in the table.
    What comes out of a service for no request at all carries nothing.
    """
    if missing := why_not(service):
        pytest.skip(missing)
    async with suite.running(service, sdk=sdk) as process:
        for clients in together(service) if sdk else zip(service.clients):
            outcomes = await process.run(service, clients, 2, 1)
            if not any(one.failed for one in outcomes.values()):
                more = await process.run(service, clients, REQUESTS if sdk else REQUESTS_ALONE, AT_ONCE)
                outcomes = {client: one.and_those(more[client]) for client, one in outcomes.items()}
            for client, outcome in outcomes.items():
                record_property("row", [service.name, client, "with" if sdk else "without", outcome.verdict])
                assert outcome.verdict == "kept" or not sdk, (client, outcome)
    assert set(suite.sink.seen.get("tick-on", [""])) == {""}
