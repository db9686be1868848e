"""Checks of text that people write and that pages and terminals show to others."""

import re
from typing import Final

UNPRINTABLE: Final = "\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff"
"""Characters that are invisible or change how others are shown: controls, line separators, text direction marks."""

_SCENARIO_NAME: Final = re.compile("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}\ud800-\udfff]")
_LAYOUT: Final = str.maketrans("", "", "\n\r\t")


def is_line(text: str) -> bool:
    """Return whether a text can be shown unchanged on one line."""
    return _UNPRINTABLE.search(text) is None


def is_text(text: str) -> bool:
    """Return whether a text can be shown unchanged, on any number of lines."""
    return is_line(text.translate(_LAYOUT))


def is_scenario_name(text: str) -> bool:
    """Return whether `text` can name a scenario: a single label of a host name (RFC 1123, section 2.1)."""
    return _SCENARIO_NAME.fullmatch(text) is not None
