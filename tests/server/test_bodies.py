"""The API's models, compared with the values of the server that they represent."""

from enum import StrEnum

import pytest

from detour import access, contract, scenarios
from detour.contract.scenarios import DESCRIPTION_MAX
from detour.offload.kubernetes import progress


@pytest.mark.parametrize(
    ("domain", "model"),
    [
        (scenarios.LifecycleState, contract.ScenarioState),
        (progress.State, contract.ProgressState),
        (access.Role, contract.Role),
        (access.Via, contract.SignInMethod),
    ],
)
def test_enumerations_have_the_same_values(domain: type[StrEnum], model: type[StrEnum]) -> None:
    """Every response with a value that only the server knows would fail."""
    assert {one.name: one.value for one in domain} == {one.name: one.value for one in model}


def test_limits_are_the_same() -> None:
    """The API and the scenarios accept texts of the same length."""
    assert DESCRIPTION_MAX == scenarios.DESCRIPTION_MAX


def test_the_document_lists_the_kinds_of_events() -> None:
    """Exactly those that the server sends."""
    from detour.server import events

    described = events.LiveEvent.__doc__ or ""
    assert [one for one in contract.EventKind if f"`{one}`" not in described] == []
