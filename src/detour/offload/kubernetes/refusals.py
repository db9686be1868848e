"""What the API server refuses, in words for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httpx2
from lightkube import ApiError

from detour.offload.kubernetes.errors import ClusterError


@contextmanager
def explained(doing: str, namespace: str) -> Iterator[None]:
    """Explain whatever goes wrong inside.

    Args:
        doing: What is done there, as in `create Deployments`.
        namespace: Where.

    Raises:
        ClusterError: It went wrong.
    """
    try:
        yield
    except ApiError as error:
        code = int(error.status.code or 0)
        raise ClusterError(_explanation(code, str(error), doing, namespace), code) from error
    except httpx2.HTTPError as error:
        raise ClusterError(
            f"could not {doing} in namespace {namespace}: the API server is away ({error})"
        ) from error


def _explanation(code: int, message: str, doing: str, namespace: str) -> str:
    match code:
        case HTTPStatus.FORBIDDEN:
            needed = f"give its ServiceAccount that right ({message})"
            return f"the server may not {doing} in namespace {namespace}: {needed}"
        case HTTPStatus.NOT_FOUND:
            return f"could not {doing} in namespace {namespace}: {message}"
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return f"Kubernetes does not accept it: {message}"
    return f"could not {doing} in namespace {namespace}: {message}"
