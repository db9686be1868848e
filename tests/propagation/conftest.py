"""Collects what became of each row, and writes docs/propagation.md when all of them have run."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from propagation import table
from propagation.suite import Suite, open_suite

_PAGE = Path(__file__).parents[2] / "docs" / "propagation.md"


class _Rows:
    """The rows' verdicts, as the tests report them, also from other processes."""

    def __init__(self) -> None:
        self._verdicts: table.Verdicts = {}
        self._left_out: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a test recorded."""
        if report.skipped and isinstance(report.longrepr, tuple):
            self._left_out[report.longrepr[2].removeprefix("Skipped: ")] = None
        if report.when == "call":
            for name, value in report.user_properties:
                if name == "left out":
                    self._left_out[value] = None
                elif name == "row":
                    service, client, column, verdict = value
                    self._verdicts[service, client, column] = verdict

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the table, or say why not."""
        if told := os.environ.get("DETOUR_LEFT_OUT"):
            Path(told).write_text("; ".join(self._left_out), encoding="utf-8")
        missing = table.missing(self._verdicts)
        if not self._verdicts:
            return
        if missing:
            terminalreporter.write_line(
                f"docs/propagation.md stays: {len(missing)} rows did not run, {missing[0]} first"
            )
        else:
            _PAGE.write_text(table.page(self._verdicts), encoding="utf-8")
            terminalreporter.write_line("docs/propagation.md is written")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """Give the suite; what services share runs from the first test that needs it to the last."""
    async with open_suite(tmp_path_factory.mktemp("propagation")) as opened:
        yield opened


def pytest_configure(config: pytest.Config) -> None:
    """Listen to all reports."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Rows(), "propagation-rows")
