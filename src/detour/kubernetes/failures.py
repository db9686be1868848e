"""What calls of lightkube raise."""

from typing import Final

import httpx2
import msgspec
from lightkube import ConfigError

API_FAILURES: Final = (httpx2.HTTPError, msgspec.MsgspecError, ConfigError, KeyError, ValueError, TimeoutError)
"""Raised when the API server refuses, does not answer, or answers with something else."""
