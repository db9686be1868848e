"""Why something failed, in words for people: errors of libraries contain numbers that only programs need.

Invariant: never empty.
"""

import re
from typing import Final

_NUMBER: Final = re.compile(r"\[Errno -?\d+\] ")


def reason_of(error: BaseException) -> str:
    """Return the message of an error without the number of a system error; without a message, its type."""
    return _NUMBER.sub("", str(error)) or type(error).__name__
