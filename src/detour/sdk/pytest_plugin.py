"""A pytest plugin: runs a test, a part of one, or a whole run with overrides, which all its calls carry.

    @pytest.mark.overrides("users=pr-42", "config.new-checkout=on")
    def test_checkout(): ...

    def test_both(overrides):
        with overrides("users=pr-42"): ...

    pytest --overrides users=pr-42

They are combined: the innermost wins. The mark also applies to fixtures of a single test. Fixtures of wider scope
only get the run's overrides, whichever test comes first.

Invariant: pytest loads this in every run, so nothing else is imported until a test has overrides.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from detour.overrides import Overrides

    Under = Callable[..., AbstractContextManager[Overrides]]

_MARK: Final = "overrides"
_OF_RUN: Final = pytest.StashKey["Overrides"]()
_USED: Final = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--overrides`."""
    parser.getgroup("detour").addoption(
        "--overrides",
        action="append",
        default=[],
        metavar="WORD",
        help="run all tests with an override, such as users=pr-42; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and parse the run's overrides.

    Raises:
        pytest.UsageError: A word is not an override.
    """
    config.addinivalue_line("markers", f"{_MARK}(*words): run the test with overrides, such as 'users=pr-42'")
    if words := config.getoption("--overrides"):
        try:
            config.stash[_OF_RUN] = _read(words)
        except ValueError as error:
            raise pytest.UsageError(f"--overrides: {error}") from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test, including set-up and teardown, with its overrides."""
    with _under(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose mark contains a word that is not an override."""
    try:
        _marked(item)
    except ValueError as error:
        pytest.fail(f"@pytest.mark.{_MARK}: {error}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: "pytest.FixtureDef[Any]", request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a shared fixture, including its teardown, with the run's overrides."""
    if fixturedef.scope == "function":
        return (yield)
    ending = ExitStack()
    request.addfinalizer(ending.close)  # finalizers run in reverse order, so this one runs last
    with _shared(request.config):
        result = yield
    request.addfinalizer(lambda: ending.enter_context(_shared(request.config)))
    return result


@pytest.fixture
def overrides(request: pytest.FixtureRequest) -> "Under":
    """Return a function that runs a block with additional overrides.

    A word that is not an override raises ValueError, which says what was expected.
    """
    request.config.stash[_USED] = True
    return _also


def _under(item: pytest.Item) -> AbstractContextManager[Any]:
    of_run = item.config.stash.get(_OF_RUN, None)
    try:
        marked = _marked(item)
    except ValueError:  # reported during set-up
        return nullcontext()
    if not of_run and not marked:
        return nullcontext()
    item.config.stash[_USED] = True
    return _also(*filter(None, (of_run, marked)))


def _marked(item: pytest.Item) -> "Overrides | None":
    """Return the overrides of a test's marks; those of its module and class come first."""
    words = [word for mark in reversed(list(item.iter_markers(_MARK))) for word in mark.args]
    return _read(words) if words else None


def _read(words: Iterable[str]) -> "Overrides":
    from detour.overrides import parse_words  # noqa: PLC0415

    return parse_words(words)


def _also(*overrides: "Overrides | str") -> "AbstractContextManager[Overrides]":
    """Run a block with these overrides in addition to the current ones."""
    from detour.sdk import current, install, using  # noqa: PLC0415

    install()
    return using(current(), *overrides)


def _shared(config: pytest.Config) -> AbstractContextManager[Any]:
    """Run a block with the run's overrides only; what it starts keeps them for the whole run."""
    if _USED not in config.stash:
        return nullcontext()
    from detour.sdk.request import NONE, under  # noqa: PLC0415
    from detour.sdk.scope import Scope  # noqa: PLC0415

    return under(config.stash.get(_OF_RUN, None) or NONE, Scope(seen=True, shared=True))
