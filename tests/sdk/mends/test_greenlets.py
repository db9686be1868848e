"""Greenlets, raw and gevent's: what is made within a request runs under it, and nothing else changes."""

import json
import subprocess
import sys

import pytest

START = """
import json
import detour.sdk
from detour.sdk import current, using
detour.sdk.install()
"""


def said(program: str) -> object:
    """Return what a program prints, as JSON; patching is for good, so each has an interpreter of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", START + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_raw_greenlet_runs_under_the_request_in_which_it_was_made() -> None:
    """Also when it is switched to later, and from elsewhere."""
    program = """
import greenlet
with using("users=pr-42"):
    made = greenlet.greenlet(lambda: current().route("users"))
with using("users=pr-7"):
    print(json.dumps([made.switch(), current().route("users")]))
"""
    assert said(program) == ["pr-42", "pr-7"]


def test_without_a_request_a_greenlet_is_as_it_was() -> None:
    """No context is made for it."""
    program = """
import greenlet
print(json.dumps(greenlet.greenlet(lambda: 1).gr_context is None))
"""
    assert said(program) is True


def test_greenlets_are_what_they_were_to_isinstance() -> None:
    """Those of before, of gevent, and of subclasses."""
    program = """
import greenlet
import gevent
class Own(greenlet.greenlet):
    pass
main, own, theirs = greenlet.getcurrent(), Own(lambda: 1), gevent.Greenlet(lambda: 1)
print(json.dumps([
    [isinstance(one, greenlet.greenlet) for one in (main, own, theirs, 1)],
    [isinstance(one, Own) for one in (main, own, theirs)],
    [isinstance(one, gevent.Greenlet) for one in (main, own, theirs)],
    [issubclass(one, greenlet.greenlet) for one in (Own, gevent.Greenlet, int)],
    own.switch(),
]))
"""
    assert said(program) == [
        [True, True, True, False],
        [False, True, False],
        [False, False, True],
        [True, True, False],
        1,
    ]


@pytest.mark.parametrize("order", ["greenlet, gevent", "gevent, greenlet", "gevent.monkey, greenlet", "greenlet"])
def test_the_order_of_imports_is_no_matter(order: str) -> None:
    """The own types of gevent are made of greenlet's, whichever comes first."""
    program = (
        f"import {order}"
        """
with using("users=pr-42"):
    made = greenlet.greenlet(lambda: current().route("users"))
print(json.dumps(made.switch()))
"""
    )
    assert said(program) == "pr-42"


def test_nothing_but_opentelemetrys_context_is_handed_on() -> None:
    """Other people's context variables are as they would be without Detour."""
    program = """
import contextvars
import gevent
theirs = contextvars.ContextVar("theirs", default="unset")
theirs.set("set")
with using("users=pr-42"):
    found = gevent.spawn(lambda: [theirs.get(), current().route("users")]).get()
print(json.dumps(found))
"""
    assert said(program) == ["unset", "pr-42"]


def test_sqlalchemys_greenlets_work_as_before() -> None:
    """Its asyncio part is built on a type of greenlet's, with a context of its own."""
    program = """
import asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

async def main():
    engine = create_async_engine("sqlite+aiosqlite://")
    with using("users=pr-42"):
        async with engine.connect() as connection:
            found = (await connection.execute(text("select 1"))).scalar()
        route = current().route("users")
    await engine.dispose()
    return [found, route]

print(json.dumps(asyncio.run(main())))
"""
    assert said(program) == [1, "pr-42"]
