"""The database of a server: scenarios, API tokens and signing keys, shared by all servers of a team."""

from detour.database.connection import Database
from detour.database.log import Change, ChangeLog
from detour.database.storage import Storage, StorageError

__all__ = ["Change", "ChangeLog", "Database", "Storage", "StorageError"]
