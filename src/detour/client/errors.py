"""What can go wrong with a request to the API.

Invariant: every error is a `ClientError` whose message is for people. A `ProblemError` has the problem document
that the server answered (RFC 9457), and its class says which status that was.
"""

from http import HTTPStatus
from typing import Final

from detour.contract import Problem


class ClientError(RuntimeError):
    """A request to the API did not succeed."""


class UnreachableError(ClientError):
    """No server answers."""


class UntrustedServerError(UnreachableError):
    """The server's certificate is not trusted, or the server does not speak TLS."""


class UnexpectedAnswerError(ClientError):
    """What answers is not a Detour server, or its answer does not fit the API."""


class SignInError(ClientError):
    """Signing in failed, or a sign-in has ended."""


class ProblemError(ClientError):
    """The server refused a request, or failed.

    Args:
        problem: What the server says about it.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)

    @property
    def status(self) -> int:
        """Return the status of the answer."""
        return self.problem.status


class BadRequestError(ProblemError):
    """400: the server cannot read the request."""


class NotSignedInError(ProblemError):
    """401: the server does not know the caller; a token is missing, invalid or expired."""


class PermissionDeniedError(ProblemError):
    """403: the caller may not do this."""


class NotFoundError(ProblemError):
    """404: what the request names does not exist."""


class MethodNotAllowedError(ProblemError):
    """405: the server, perhaps an older one, does not have this operation."""


class ConflictError(ProblemError):
    """409: the request does not fit the state of the mesh or of the server."""


class GoneError(ProblemError):
    """410: what the request names has expired or was removed."""


class PreconditionFailedError(ProblemError):
    """412: another change was made since it was read."""


class InvalidRequestError(ProblemError):
    """422: a value is not one that the API accepts."""


class PreconditionRequiredError(ProblemError):
    """428: the request does not name the version that it changes."""


class TooManyRequestsError(ProblemError):
    """429: the server does too much of this already."""


class ServerFailedError(ProblemError):
    """5xx: the server failed, or something behind it did."""


class NotSupportedError(ServerFailedError):
    """501: the server runs without what this needs, such as a database."""


class UnavailableError(ServerFailedError):
    """503: the server cannot do this at the moment."""


_BY_STATUS: Final[dict[int, type[ProblemError]]] = {
    HTTPStatus.BAD_REQUEST: BadRequestError,
    HTTPStatus.UNAUTHORIZED: NotSignedInError,
    HTTPStatus.FORBIDDEN: PermissionDeniedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowedError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.GONE: GoneError,
    HTTPStatus.PRECONDITION_FAILED: PreconditionFailedError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidRequestError,
    HTTPStatus.PRECONDITION_REQUIRED: PreconditionRequiredError,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequestsError,
    HTTPStatus.NOT_IMPLEMENTED: NotSupportedError,
    HTTPStatus.SERVICE_UNAVAILABLE: UnavailableError,
}


def error_of(problem: Problem) -> ProblemError:
    """Return the error of a problem, of the class of its status."""
    by_default = ServerFailedError if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ProblemError
    return _BY_STATUS.get(problem.status, by_default)(problem)
