"""Python's servers and clients: an override that enters a service leaves it again, whatever it is made of."""

from pathlib import Path

import pytest

from propagation.driver import VERDICTS, running
from propagation.rows import PYTHON, Service
from propagation.sink import running_sink

AT_ONCE = 32
REQUESTS = 100


@pytest.mark.parametrize("service", PYTHON, ids=lambda service: service.name)
@pytest.mark.parametrize("sdk", [True, False], ids=["with Detour", "OpenTelemetry alone"])
async def test_what_enters_leaves_again(service: Service, sdk: bool, tmp_path: Path, record_property) -> None:
    """One request at a time, and a hundred at once with overrides of their own: none is lost, none reaches another.

    Without Detour's SDK nothing is asserted but that requests are answered: what is lost then is told in the table.
    """
    async with running_sink() as sink:
        with running(service, sdk=sdk, sink=sink, folder=tmp_path) as process:
            await process.ready()
            for client in service.clients:
                plain = await process.run(service, client, 2, 1)
                crowded = await process.run(service, client, REQUESTS, AT_ONCE)
                verdict = max((plain.verdict, crowded.verdict), key=VERDICTS.index)
                record_property("row", [service.name, client, "with" if sdk else "without", verdict])
                assert not plain.failed, (client, plain.failed[0])
                assert not crowded.failed, (client, crowded.failed[0])
                if sdk:
                    assert not crowded.leaked, (client, crowded.leaked[0])
                    assert verdict == "kept", client
