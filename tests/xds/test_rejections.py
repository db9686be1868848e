"""What an Envoy has rejected."""

from detour.xds.rejections import Rejection, Rejections


def test_the_resources_of_one_response_are_one_rejection() -> None:
    """As Envoy gives one reason for them."""
    rejections = Rejections()
    rejections.add("cluster", ["users", "web"], "no such filter")
    rejections.add("routes", ["outbound"], "no")
    assert rejections.all == (
        Rejection("cluster", ("users", "web"), "no such filter"),
        Rejection("routes", ("outbound",), "no"),
    )


def test_a_rejection_ends_with_the_last_of_its_resources() -> None:
    """Of the same type; the same name of another type does not count."""
    rejections = Rejections()
    rejections.add("cluster", ["users", "web"], "no")
    rejections.discard("endpoints", ["users", "web"])
    rejections.discard("cluster", ["users"])
    assert [one.names for one in rejections.all] == [("users", "web")]
    assert (rejections.has("cluster"), rejections.has("endpoints")) == (True, False)
    rejections.discard("cluster", ["web", "users"])
    assert rejections.all == ()
    assert not rejections.has("cluster")


def test_a_later_rejection_replaces_an_earlier_one() -> None:
    """The reason is the last one."""
    rejections = Rejections()
    rejections.add("cluster", ["users"], "first")
    rejections.add("cluster", ["users"], "second")
    assert [one.message for one in rejections.all] == ["second"]


def test_reasons_are_bounded() -> None:
    """An Envoy can send any."""
    rejections = Rejections()
    rejections.add("cluster", ["users"], "x" * 2001)
    assert [one.message for one in rejections.all] == ["x" * 2000]
