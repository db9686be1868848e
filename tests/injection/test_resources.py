"""The resources of sidecars: their forms, and what LimitRanges make of them."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.injection import Resources
from detour.injection.resources import fitted, quantity


def limit_range(kind: str = "Container", **bounds: dict[str, Any]) -> dict[str, Any]:
    """Return a LimitRange with one item."""
    return {"kind": "LimitRange", "spec": {"limits": [{"type": kind, **bounds}]}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        (2, 2),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("100m", Fraction(1, 10)),
        ("64Mi", 64 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("1e3", 1000),
        ("1E", 10**18),
        ("2E-1", Fraction(1, 5)),
        ("-1", None),
        ("1mi", None),
        ("Mi", None),
        ("", None),
        ("1e999", None),
        (True, None),
        (None, None),
        ("٣", None),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: object, value: object) -> None:
    """Suffixes of ten and of two, and powers."""
    assert quantity(text) == value


def test_the_form_of_the_command_line() -> None:
    """What is missing is not set; the text says the same."""
    assert Resources.parse("requests.cpu=10m, limits.memory=1Gi") == Resources("10m", "", "", "1Gi")
    assert Resources.parse("") == Resources("", "", "", "")
    assert Resources.parse(str(Resources())) == Resources()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cpu=1", "'cpu' is not one of requests.cpu, requests.memory, limits.cpu, limits.memory"),
        ("limits.disk=1", "'limits.disk' is not one of"),
        ("limits.cpu=much", "limits.cpu is 'much', which is not a quantity such as 500m or 256Mi"),
    ],
)
def test_other_forms_are_refused(text: str, words: str) -> None:
    """With what is wrong."""
    with pytest.raises(ValueError, match=words):
        Resources.parse(text)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"max": {"cpu": "500m"}}, Resources()),
        ({"max": {"cpu": "200m"}}, Resources(cpu_limit="200m")),
        ({"max": {"cpu": "20m"}}, Resources(cpu_request="20m", cpu_limit="20m")),
        ({"min": {"cpu": "100m"}}, Resources(cpu_request="100m")),
        ({"min": {"cpu": 1}}, Resources(cpu_request="1000m", cpu_limit="1000m")),
        ({"maxLimitRequestRatio": {"cpu": "10", "memory": 4}}, Resources()),
        ({"maxLimitRequestRatio": {"cpu": "2", "memory": "1"}}, Resources("250m", "256Mi")),
        ({"max": {"memory": "128Mi"}, "min": {"memory": "100Mi"}}, Resources("50m", "100Mi", "500m", "128Mi")),
        ({"default": {"cpu": "100m"}}, Resources()),
        ({"max": {"cpu": "half"}, "min": 7}, Resources()),
    ],
)
def test_limits_are_lowered_and_requests_raised(bounds: dict[str, Any], expected: Resources) -> None:
    """As far as the bounds demand, and no further."""
    assert fitted(Resources(), [limit_range(**bounds)], []) == expected


def test_a_sidecar_without_a_limit_gets_the_default_of_the_namespace() -> None:
    """Its request fits that; a maximum or a ratio demands a limit."""
    unlimited = Resources(cpu_limit="")
    assert fitted(unlimited, [limit_range(default={"cpu": "200m"})], []) == unlimited
    assert fitted(
        unlimited, [limit_range(default={"cpu": "1"}, maxLimitRequestRatio={"cpu": "4"})], []
    ) == Resources(cpu_request="250m", cpu_limit="")
    assert fitted(unlimited, [limit_range(max={"cpu": "2"})], []) == Resources(cpu_limit="2000m")
    assert fitted(unlimited, [limit_range(maxLimitRequestRatio={"cpu": "4"})], []) == Resources(cpu_limit="200m")
    assert fitted(Resources(cpu_request=""), [limit_range(min={"cpu": "1"})], []) == Resources(
        "", cpu_limit="1000m"
    )


def test_all_limit_ranges_hold() -> None:
    """The narrowest of their bounds."""
    ranges = [limit_range(max={"cpu": "300m"}), limit_range(max={"cpu": "200m"}, min={"cpu": "60m"})]
    assert fitted(Resources(), ranges, []) == Resources(cpu_request="60m", cpu_limit="200m")


def test_a_bound_of_whole_pods_counts_the_other_containers() -> None:
    """The sidecar gets what they leave."""
    app = {"name": "app", "resources": {"limits": {"cpu": "1500m"}}}
    most = limit_range("Pod", max={"cpu": "1700m"})
    assert fitted(Resources(), [most], [app]) == Resources(cpu_limit="200m")
    assert fitted(Resources(), [most], [app, app]) is None


@pytest.mark.parametrize("bounds", [{"max": {"memory": "16Mi"}}, {"max": {"cpu": "0"}}])
def test_no_room_is_said(bounds: dict[str, Any]) -> None:
    """Envoy would not run."""
    assert fitted(Resources(), [limit_range(**bounds)], []) is None


def test_a_request_above_its_limit_gives_way_to_what_was_chosen() -> None:
    """Kubernetes refuses such a container."""
    assert Resources(cpu_request="2").consistent() == Resources(cpu_request="500m")
    assert Resources(cpu_request="2").consistent(["cpu_request"]) == Resources(cpu_request="2", cpu_limit="2")
    assert Resources(memory_limit="48Mi").consistent(["memory_limit"]) == Resources("50m", "48Mi", "500m", "48Mi")


AMOUNTS = st.sampled_from(["", "10m", "50m", "100m", "250m", "500m", "1", "4"])


@given(AMOUNTS, AMOUNTS, st.dictionaries(st.sampled_from(["min", "max", "default"]), AMOUNTS), st.integers(0, 20))
def test_what_fits_satisfies_every_bound(request: str, limit: str, bounds: dict[str, str], ratio: int) -> None:
    """Whatever was given: as the API server checks it, with its defaults."""
    least, most, default = (quantity(bounds.get(name)) for name in ("min", "max", "default"))
    if (least or 0) > (most or 100) or (default or least or 0) < (least or 0) or (default or 0) > (most or 100):
        return  # the API server refuses such a LimitRange
    given = {name: {"cpu": value} for name, value in bounds.items()} | {"maxLimitRequestRatio": {"cpu": ratio}}
    made = fitted(Resources(request, "", limit, "").consistent(), [limit_range(**given)], [])
    assert made is not None
    high = quantity(made.cpu_limit) or default or most
    low = quantity(made.cpu_request) or quantity(made.cpu_limit) or default or most or least
    if most is not None:
        assert high is not None
        assert high <= most
    if least is not None and low is not None:
        assert low >= least
    if low is not None and high is not None:
        assert low <= high
        assert not ratio or high / low <= ratio


def test_each_suffix_of_a_quantity() -> None:
    """Written out by hand."""
    tens = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
    for suffix, power in tens.items():
        assert quantity(f"3{suffix}") == 3 * Fraction(10) ** power
    for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1):
        assert quantity(f"3{suffix}") == 3 * 1024**power


@pytest.mark.parametrize(
    ("cpu", "memory", "has_room"),
    [("1m", "32Mi", True), ("999u", "32Mi", False), ("1m", "33554431", False), ("2m", "33Mi", True)],
)
def test_the_least_that_a_sidecar_needs(cpu: str, memory: str, has_room: bool) -> None:
    """A thousandth of a CPU, and 32Mi."""
    found = fitted(Resources(), [limit_range(max={"cpu": cpu, "memory": memory})], [])
    assert found == (Resources(cpu, memory, cpu, memory) if has_room else None)
