"""The pytest plugin, in runs of pytest's own whose tests call a real server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

pytest_plugins = ["pytester"]

_CALLS = """
import os
import aiohttp, httpx, pytest, requests

URL = os.environ["ECHO"]

def by_requests():
    return requests.get(URL, timeout=10).text

def by_httpx():
    return httpx.get(URL).text

async def by_async_httpx():
    async with httpx.AsyncClient() as client:
        return (await client.get(URL)).text

async def by_aiohttp():
    async with aiohttp.ClientSession() as session, session.get(URL) as response:
        return await response.text()

"""


class _Echo(BaseHTTPRequestHandler):
    """Answers with the baggage that came."""

    def do_GET(self) -> None:
        body = self.headers.get("baggage", "").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator["Run"]:
    """Return what runs tests in a process of its own: what clients are instrumented with is for good."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("ECHO", f"http://127.0.0.1:{server.server_port}/")
    pytester.makeini("[pytest]\nasyncio_mode = auto\naddopts = -p no:cacheprovider --strict-markers")
    try:
        yield Run(pytester)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class Run:
    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def __call__(self, tests: str, *options: str) -> pytest.RunResult:
        """Run tests, in the order in which they stand."""
        self.pytester.makepyfile(_CALLS + tests)
        return self.pytester.runpytest_subprocess(*options, timeout=60)


def test_a_marked_tests_calls_carry_its_overrides(run: Run) -> None:
    """By all clients, sync and async; other tests' calls carry none."""
    tests = """
@pytest.mark.overrides("users=pr-42", "config.new-checkout=on")
def test_sync():
    wanted = "override.route.users=pr-42,override.config.new-checkout=on"
    assert by_requests() == by_httpx() == wanted

@pytest.mark.overrides("users=pr-42")
async def test_async():
    assert await by_aiohttp() == await by_async_httpx() == "override.route.users=pr-42"

def test_none():
    assert by_requests() == ""

async def test_async_none():
    assert await by_aiohttp() == ""
"""
    run(tests).assert_outcomes(passed=4)


def test_classes_and_modules_are_marked_too(run: Run) -> None:
    """What is nearer to the test counts."""
    tests = """
pytestmark = pytest.mark.overrides("users=pr-1", "rides=pr-1")

@pytest.mark.overrides("users=pr-2")
class TestRides:
    @pytest.mark.overrides("payments=pr-3")
    def test_ride(self):
        assert sorted(by_requests().split(",")) == [
            "override.route.payments=pr-3", "override.route.rides=pr-1", "override.route.users=pr-2"
        ]
"""
    run(tests).assert_outcomes(passed=1)


def test_a_block_adds_to_what_it_stands_in(run: Run) -> None:
    """And ends with it."""
    tests = """
def test_block(overrides):
    with overrides("users=pr-42"):
        assert by_requests() == "override.route.users=pr-42"
        with overrides("config.a=on"):
            assert by_requests() == "override.route.users=pr-42,override.config.a=on"
    assert by_requests() == ""

@pytest.mark.overrides("rides=pr-7")
async def test_async_block(overrides):
    with overrides("users=pr-42"):
        assert await by_aiohttp() == "override.route.rides=pr-7,override.route.users=pr-42"
    assert await by_aiohttp() == "override.route.rides=pr-7"
"""
    run(tests).assert_outcomes(passed=2)


def test_a_whole_run_is_under_the_command_lines(run: Run) -> None:
    """Marks and blocks add to it."""
    tests = """
def test_plain():
    assert by_requests() == "override.route.users=pr-42,override.missing=baseline"

async def test_async():
    assert await by_aiohttp() == "override.route.users=pr-42,override.missing=baseline"

@pytest.mark.overrides("users=pr-7", "config.a=on")
def test_marked():
    assert by_requests() == "override.route.users=pr-7,override.missing=baseline,override.config.a=on"
"""
    result = run(tests, "--overrides", "users=pr-42", "--overrides", "missing=baseline")
    result.assert_outcomes(passed=3)


def test_a_tests_own_fixtures_are_under_its_mark(run: Run) -> None:
    """In their set-up and at their end, sync and async."""
    tests = """
said = []

@pytest.fixture
def ride():
    said.append(by_requests())
    yield
    said.append(by_requests())

@pytest.fixture
async def async_ride():
    said.append(await by_aiohttp())
    yield
    said.append(await by_aiohttp())

@pytest.mark.overrides("users=pr-42")
def test_marked(ride):
    pass

@pytest.mark.overrides("users=pr-42")
async def test_async_marked(async_ride, ride):
    pass

def test_what_they_said():
    assert said == ["override.route.users=pr-42"] * 6
"""
    run(tests).assert_outcomes(passed=3)


def test_a_fixtures_own_block_lasts_for_its_test(run: Run) -> None:
    """A team's fixture, made of this one."""
    tests = """
@pytest.fixture
def pr_42(overrides):
    with overrides("users=pr-42"):
        yield

@pytest.fixture
async def async_pr_42(overrides):
    with overrides("users=pr-42"):
        yield

def test_sync(pr_42):
    assert by_requests() == "override.route.users=pr-42"

async def test_async(pr_42):
    assert await by_aiohttp() == "override.route.users=pr-42"

async def test_async_async(async_pr_42):
    assert await by_aiohttp() == "override.route.users=pr-42"

def test_none():
    assert by_requests() == ""
"""
    run(tests).assert_outcomes(passed=4)


def test_what_tests_share_is_under_the_runs_overrides_alone(run: Run) -> None:
    """Whichever test comes first or last."""
    tests = """
said = []

@pytest.fixture(scope="module")
def shared():
    said.append(by_requests())
    yield
    said.append(by_requests())

@pytest.fixture(scope="class")
async def async_shared():
    said.append(await by_aiohttp())

@pytest.mark.overrides("users=pr-42")
class TestMarked:
    def test_first(self, shared, async_shared):
        assert by_requests().endswith("override.route.users=pr-42")

@pytest.mark.overrides("users=pr-42")
def test_last(shared):
    assert by_requests().endswith("override.route.users=pr-42")
"""
    conftest = """
def pytest_unconfigure(config):
    import sys
    said = [said for module in list(sys.modules.values()) if (said := getattr(module, "said", None))]
    print("said", *said[0])
"""
    run.pytester.makeconftest(conftest)
    result = run(tests, "-s")
    result.assert_outcomes(passed=2)
    assert result.outlines[-1].split() == ["said"]
    result = run(tests, "-s", "--overrides", "rides=pr-7")
    result.assert_outcomes(passed=2)
    assert result.outlines[-1].split() == ["said", *["override.route.rides=pr-7"] * 3]


def test_what_a_fixture_starts_keeps_the_runs_overrides(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the end of the run, however long that is after the fixture."""
    monkeypatch.setenv("DETOUR_AFTER_RESPONSE", "0")
    tests = """
import threading

@pytest.fixture(scope="module")
def worker():
    asked, said = threading.Event(), []
    thread = threading.Thread(target=lambda: asked.wait(30) and said.append(by_requests()))
    thread.start()
    yield lambda: asked.set() or thread.join() or said[0]
    asked.set()

def test_call(worker):
    assert worker() == "override.route.rides=pr-7"
"""
    run(tests, "--overrides", "rides=pr-7").assert_outcomes(passed=1)


def test_loops_that_tests_share_carry_each_ones_own(run: Run) -> None:
    """Their tasks begin with the context of the test."""
    tests = """
pytestmark = pytest.mark.asyncio(loop_scope="module")

@pytest.mark.overrides("users=pr-42")
async def test_first():
    assert await by_aiohttp() == "override.route.users=pr-42"

async def test_second():
    assert await by_aiohttp() == ""

@pytest.mark.overrides("users=pr-7")
async def test_third():
    assert await by_aiohttp() == "override.route.users=pr-7"
"""
    run(tests).assert_outcomes(passed=3)


def test_test_cases_of_unittest_are_marked_too(run: Run) -> None:
    """As far as pytest runs them."""
    tests = """
import unittest

@pytest.mark.overrides("users=pr-42")
class Rides(unittest.TestCase):
    def test_ride(self):
        assert by_requests() == "override.route.users=pr-42"
"""
    run(tests).assert_outcomes(passed=1)


def test_threads_of_a_test_are_under_it(run: Run) -> None:
    """Those that it starts itself."""
    tests = """
from concurrent.futures import ThreadPoolExecutor

@pytest.mark.overrides("users=pr-42")
def test_threads():
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: by_requests(), range(4))) == ["override.route.users=pr-42"] * 4
"""
    run(tests).assert_outcomes(passed=1)


def test_a_wrong_word_fails_the_test_with_a_clear_line(run: Run) -> None:
    """Before anything of it has run; the others go on."""
    tests = """
@pytest.fixture
def never():
    raise AssertionError("it ran")

@pytest.mark.overrides("users")
def test_marked(never):
    pass

def test_block(overrides):
    with overrides("delay.users=soon"):
        pass

def test_other():
    pass
"""
    result = run(tests)
    result.assert_outcomes(errors=1, failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.overrides: 'users' is not an override: expected SERVICE=DEPLOYMENT, such as users=pr-42",
            "*ValueError: 'delay.users=soon' is not an override: expected a delay such as 300ms*",
        ]
    )
    assert "it ran" not in result.stdout.str()


def test_a_wrong_word_on_the_command_line_ends_the_run(run: Run) -> None:
    """As a wrong option does."""
    result = run("def test_none(): pass", "--overrides", "users")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --overrides: 'users' is not an override: expected SERVICE=DEPLOYMENT*"])


def test_runs_without_overrides_are_left_alone() -> None:
    """Everybody who installs the package has the plugin."""
    program = """
import json, sys
import pytest
import detour.sdk
before = set(sys.modules)
import detour.sdk.pytest_plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ran.stdout) == ["detour.sdk.pytest_plugin"]


def test_without_overrides_nothing_is_instrumented(run: Run) -> None:
    """Until the first of them."""
    tests = """
from opentelemetry.instrumentation.requests import RequestsInstrumentor

def test_plain():
    assert not RequestsInstrumentor().is_instrumented_by_opentelemetry

def test_fixture(overrides):
    assert not RequestsInstrumentor().is_instrumented_by_opentelemetry
    with overrides("users=pr-42"):
        assert RequestsInstrumentor().is_instrumented_by_opentelemetry
"""
    run(tests).assert_outcomes(passed=2)
