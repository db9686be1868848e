"""How fast a herd is let in."""

import pytest

from detour.xds.admission import Admission


def test_a_burst_is_let_in_at_once_and_the_rest_at_the_rate() -> None:
    """Three at once, then one each half second."""
    admission = Admission(per_second=2, burst=3)
    assert [admission.wait(100.0) for _ in range(6)] == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5])
    assert admission.wait(101.0) == pytest.approx(1.0)
    assert admission.wait(101.75) == pytest.approx(0.75)


def test_a_quiet_time_allows_another_burst_and_no_larger_one() -> None:
    """Time saved up is bounded."""
    admission = Admission(per_second=2, burst=3)
    for _ in range(6):
        admission.wait(100.0)
    assert [admission.wait(1000.0) for _ in range(4)] == pytest.approx([0, 0, 0, 0.5])
