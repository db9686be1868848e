"""Why something failed, in words for people."""

import errno

import pytest

from detour.reason import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "Connection refused"),
        (RuntimeError("[Errno -2] Name or service not known"), "Name or service not known"),
        (OSError(errno.ENOENT, "No such file or directory", "a.yaml"), "No such file or directory: 'a.yaml'"),
        (ValueError("a list: [1]"), "a list: [1]"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_reason_has_no_number(error: Exception, reason: str) -> None:
    """And it is never empty."""
    assert reason_of(error) == reason
