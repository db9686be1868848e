"""The log of changes, and the kinds of live events."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from detour.contract.pages import Page


class ChangeOut(BaseModel):
    """One change: who made it, and when."""

    revision: int
    at: datetime
    who: str
    action: str
    kind: str
    subject: str
    version: int | None


class ChangeListOut(Page[ChangeOut]):
    """Changes, newest first."""


class EventKind(StrEnum):
    """The kind of thing that a live event reports a change of."""

    SCENARIO = "scenario"
    DEPLOYMENT = "deployment"
    TOKEN = "token"  # noqa: S105  a kind, not a secret
    KEY = "key"
    OVERRIDES = "overrides"
    MESH = "mesh"
    ENVOYS = "envoys"
    CALLS = "calls"
