"""The API's models, and the values of the mesh that they stand for."""

from enum import StrEnum

import pytest

from detour import access, contract, scenarios
from detour.contract.scenarios import DESCRIPTION_MAX
from detour.offload.kubernetes import progress


@pytest.mark.parametrize(
    ("domain", "model"),
    [
        (scenarios.State, contract.ScenarioState),
        (progress.State, contract.ProgressState),
        (access.Role, contract.Role),
        (access.Via, contract.SignInMethod),
    ],
)
def test_enumerations_have_the_same_values(domain: type[StrEnum], model: type[StrEnum]) -> None:
    """A value that only the server knows would fail every answer that contains it."""
    assert {one.name: one.value for one in domain} == {one.name: one.value for one in model}


def test_limits_are_the_same() -> None:
    """The API accepts a text as long as a scenario's may be."""
    assert DESCRIPTION_MAX == scenarios.DESCRIPTION_MAX


def test_kinds_of_events_are_those_that_the_server_sends() -> None:
    """The document lists each of them."""
    from detour.server import events

    described = events.Event.__doc__ or ""
    assert [one for one in contract.EventKind if f"`{one}`" not in described] == []
