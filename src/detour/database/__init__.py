"""The database of a server: what people make and every server of a team must know."""

from detour.database.connection import Database
from detour.database.log import Change, ChangeLog

__all__ = ["Change", "ChangeLog", "Database"]
