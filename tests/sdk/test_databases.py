"""Which database a request chooses."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from detour.sdk import databases, service, using
from detour.sdk.databases import Databases

RIDES = Databases(["main", "pr-42"], default="main")


@pytest.fixture(autouse=True)
def rides(monkeypatch: pytest.MonkeyPatch) -> None:
    """This service is called rides."""
    monkeypatch.setattr(service, "_given", ["rides"])
    databases._warn_nameless.cache_clear()
    databases._refuse.cache_clear()


def test_a_request_chooses_one_that_is_listed() -> None:
    """Others use the default."""
    assert RIDES.chosen() == "main"
    assert RIDES.overridden() is None
    with using("db.rides=pr-42"):
        assert RIDES.chosen() == RIDES.overridden() == "pr-42"
    with using("db.rides=main"):
        assert RIDES.chosen() == RIDES.overridden() == "main"
    assert RIDES.chosen() == "main"


def test_another_services_choice_is_no_matter_of_this_one(caplog: pytest.LogCaptureFixture) -> None:
    """It is passed on."""
    with using("db.users=pr-42", "rides=pr-42"):
        assert RIDES.chosen() == "main"
    assert not caplog.records


def test_the_default_need_not_be_listed_twice() -> None:
    """Listed are those that a request may choose."""
    assert Databases(["pr-42"], "main").names == ("main", "pr-42")


def test_any_other_name_is_refused_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the names that are listed; the default serves."""
    for _ in range(3):
        for name in ("production", "PR-42"):
            with using(f"db.rides={name}"):
                assert RIDES.chosen() == "main"
    assert [(record.levelno, record.name) for record in caplog.records] == [
        (logging.ERROR, "detour.sdk.databases")
    ] * 2
    assert "the database 'production'" in caplog.messages[0]
    assert caplog.messages[0].endswith("listed are main, pr-42")


def test_a_service_without_a_name_says_so_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And uses the default."""
    monkeypatch.setattr(service, "_given", [""])
    for _ in range(3):
        with using("db.rides=pr-42"):
            assert RIDES.chosen() == "main"
    (told,) = caplog.messages
    assert "set OTEL_SERVICE_NAME" in told


def test_concurrent_requests_do_not_mix() -> None:
    """On threads."""

    def serve(number: int) -> str:
        if number % 2:
            with using("db.rides=pr-42"):
                return RIDES.chosen()
        return RIDES.chosen()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(serve, range(1000))) == ["main", "pr-42"] * 500


def test_it_imports_no_library() -> None:
    """The names alone are enough for other libraries."""
    text = Path(databases.__file__).read_text(encoding="utf-8")
    assert "import sqlalchemy" not in text
    assert "import django" not in text
