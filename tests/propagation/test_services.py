"""Real services: an override that enters one leaves it again, whatever it is made of."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from propagation.driver import VERDICTS, running
from propagation.rows import Service
from propagation.sink import running_sink
from propagation.suite import Suite, is_packaged, services, why_not

AT_ONCE = 32
REQUESTS = 100

SERVICES = [
    pytest.param(one, id=one.name, marks=[] if is_packaged(one) else [pytest.mark.more]) for one in services()
]

SDK = [
    pytest.param(True, id="with Detour"),
    pytest.param(
        False, id="OpenTelemetry alone", marks=pytest.mark.more
    ),  # it is told, and asserts nothing of ours
]


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """Give the suite, whose brokers run from the first test that needs them to the last."""
    with ExitStack() as brokers:
        yield Suite(tmp_path_factory.mktemp("propagation"), brokers)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("sdk", SDK)
async def test_what_enters_leaves_again(
    suite: Suite, service: Service, sdk: bool, tmp_path: Path, record_property
) -> None:
    """One request at a time, and a hundred at once with overrides of their own: none is lost, none reaches another.

    Without Detour's SDK nothing is asserted but that requests are answered: what is lost then is told in the table.
    What comes out of a service for no request at all carries nothing.
    """
    if missing := why_not(service):
        pytest.skip(missing)
    async with running_sink() as sink:
        with running(service, sdk=sdk, sink=sink, folder=tmp_path, **suite.variables(service)) as process:
            await process.ready()
            for client in service.clients:
                outcomes = [await process.run(service, client, 2, 1)]
                outcomes.append(await process.run(service, client, REQUESTS, AT_ONCE))
                verdict = max((one.verdict for one in outcomes), key=VERDICTS.index)
                record_property("row", [service.name, client, "with" if sdk else "without", verdict])
                for outcome in outcomes:
                    assert not outcome.failed, (client, outcome.failed[0])
                    assert not (sdk and outcome.leaked), (client, outcome.leaked[0])
                assert verdict == "kept" or not sdk, (client, verdict)
        if sdk:
            assert set(sink.seen.get("tick", [""])) == {""}
