"""The table of libraries, and the mends that it names."""

import re
from pathlib import Path

from detour.sdk import mends
from detour.sdk.libraries import LIBRARIES

FOLDER = Path(mends.__path__[0])


def test_each_mend_has_a_row_and_each_row_a_mend() -> None:
    """A module without a row would never run."""
    defined = {
        path.stem for path in FOLDER.glob("*.py") if re.search(r"^def mend\(", path.read_text(), re.MULTILINE)
    }
    assert defined == {one.mend for one in LIBRARIES if one.mend}


def test_each_row_has_an_effect() -> None:
    """It enables an instrumentation, or mends something."""
    assert [one.name for one in LIBRARIES if not one.instrumentations and not one.mend] == []
