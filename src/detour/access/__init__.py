"""Authentication and roles: local callers, API tokens, and users of an OpenID Connect issuer."""

from detour.access.claims import IssuerSettings
from detour.access.identity import ForbiddenError, Identity, Role, UnknownCallerError, Via
from detour.access.issuer import Issuer
from detour.access.requester import Requester
from detour.access.tokens import ApiToken, NoTokenError, TokenStore

__all__ = [
    "ApiToken",
    "ForbiddenError",
    "Identity",
    "Issuer",
    "IssuerSettings",
    "NoTokenError",
    "Requester",
    "Role",
    "TokenStore",
    "UnknownCallerError",
    "Via",
]
