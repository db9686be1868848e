"""Scenarios: named, stored, shareable sets of overrides. Each change creates a new version."""

from detour.scenarios.model import (
    DESCRIPTION_MAX,
    OWNER_MAX,
    Draft,
    LifecycleState,
    NoScenarioError,
    OutdatedError,
    Scenario,
    ScenarioExistsError,
)
from detour.scenarios.store import Filter, ScenarioStore

__all__ = [
    "DESCRIPTION_MAX",
    "OWNER_MAX",
    "Draft",
    "Filter",
    "LifecycleState",
    "NoScenarioError",
    "OutdatedError",
    "Scenario",
    "ScenarioExistsError",
    "ScenarioStore",
]
