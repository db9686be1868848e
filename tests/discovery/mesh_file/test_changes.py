"""A mesh file that changes while it is followed, on the real file system."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from detour.discovery.mesh_file import Changed, Rejected, read, watch
from detour.mesh import Endpoint, Mesh, Service, ServiceApplied, ServiceRemoved, apply

DEADLINE = 10


def text_of(*ports: int) -> str:
    """Return a mesh file with a service for each port."""
    return "services:\n" + "".join(f"  s{port}: {{endpoints: [127.0.0.1:{port}]}}\n" for port in ports)


def service(port: int) -> Service:
    """Return the service that `text_of` writes for a port."""
    return Service(f"s{port}", (Endpoint("127.0.0.1", port),))


def replace(file: Path, text: str) -> None:
    """Replace a file as editors do: write another, and rename it."""
    other = file.with_suffix(".tmp")
    other.write_text(text)
    other.rename(file)


class Following:
    """Receives the changes of a mesh file."""

    def __init__(self, news: AsyncGenerator[Changed | Rejected]) -> None:
        self._news = news

    async def next(self) -> Changed | Rejected:
        """Wait for the next news."""
        async with asyncio.timeout(DEADLINE):
            return await anext(self._news)

    async def until(self, mesh: Mesh, expected: Mesh) -> Mesh:
        """Apply news to a mesh until it is as expected."""
        while mesh != expected:
            news = await self.next()
            if isinstance(news, Changed):
                mesh = apply(mesh, *news.events)
        return mesh


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a mesh file with one service."""
    path = tmp_path / "mesh.yaml"
    path.write_text(text_of(1))
    return path


@asynccontextmanager
async def following(file: Path):
    """Follow a file, beginning with what it says."""
    news = watch(file, read(file))
    try:
        yield Following(news)
    finally:
        await news.aclose()


async def test_an_edit_is_reported_as_events(file):
    """Written in place: new parts are applied, missing parts are removed."""
    async with following(file) as follower:
        file.write_text(text_of(2))
        mesh = await follower.until(Mesh.of([service(1)]), Mesh.of([service(2)]))
        file.write_text(text_of(2, 3))
        assert await follower.until(mesh, Mesh.of([service(2), service(3)]))


async def test_a_file_replaced_by_renaming_is_followed_again_and_again(file):
    """An editor's new file is another inode each time."""
    async with following(file) as follower:
        for port in (2, 3, 4):
            replace(file, text_of(port))
            events = ServiceApplied(service(port)), ServiceRemoved(f"s{port - 1}")
            assert await follower.next() == Changed(events)


async def test_a_link_whose_target_changes_is_followed(tmp_path):
    """A mounted ConfigMap: `mesh.yaml` leads through a link that is replaced, and itself never changes."""
    for version, port in (("v1", 1), ("v2", 2)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "mesh.yaml").write_text(text_of(port))
    (tmp_path / "..data").symlink_to("v1")
    file = tmp_path / "mesh.yaml"
    file.symlink_to("..data/mesh.yaml")
    async with following(file) as follower:
        (tmp_path / "..new").symlink_to("v2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        assert await follower.next() == Changed((ServiceApplied(service(2)), ServiceRemoved("s1")))


async def test_a_change_before_the_watch_stands_is_not_lost(file):
    """The caller read the file, it changed, and only then the watch began."""
    mesh = read(file)
    replace(file, text_of(1, 2))
    news = watch(file, mesh)
    try:
        assert await Following(news).next() == Changed((ServiceApplied(service(2)),))
    finally:
        await news.aclose()


async def test_a_mistake_is_reported_once_and_the_last_valid_mesh_stays(file):
    """Broken, broken otherwise, mended: events are the difference from the last valid mesh."""
    async with following(file) as follower:
        replace(file, text_of(1) + "  s2: {}\n")
        first = await follower.next()
        assert isinstance(first, Rejected)
        assert str(first.error) == f'{file}:3: services.s2: expected the key "endpoints"'
        replace(file, "services: [\n")
        second = await follower.next()
        assert isinstance(second, Rejected)
        assert str(second.error).startswith(f"{file}:2: is not YAML")
        replace(file, text_of(1, 3))
        assert await follower.next() == Changed((ServiceApplied(service(3)),))


async def test_undoing_a_mistake_is_reported_though_nothing_changed(file):
    """A client that shows the mistake can remove it."""
    async with following(file) as follower:
        replace(file, "services: nope\n")
        assert isinstance(await follower.next(), Rejected)
        replace(file, text_of(1))
        assert await follower.next() == Changed(())


async def test_a_file_that_vanishes_is_reported_and_followed_when_it_returns(file):
    """A deleted file is a mistake like another; so is its whole directory, which even may be another afterwards."""
    async with following(file) as follower:
        for vanish in (file.unlink, lambda: file.parent.rename(file.parent.with_name("gone"))):
            vanish()
            news = await follower.next()
            assert isinstance(news, Rejected)
            assert str(news.error) == f"{file}: cannot be read: No such file or directory"
            file.parent.mkdir(exist_ok=True)
            replace(file, text_of(1))
            assert await follower.next() == Changed(())


async def test_an_edit_without_effect_is_not_reported(file):
    """A comment, the same content, another file beside it: the next thing heard is the next real change."""
    async with following(file) as follower:
        replace(file, "# ours\n" + text_of(1))
        os.utime(file)
        file.with_name("other.yaml").write_text(text_of(9))
        replace(file, text_of(1, 2))
        assert await follower.next() == Changed((ServiceApplied(service(2)),))


async def test_cancelling_ends_the_watch_at_once(file):
    """A server that stops does not wait for the file."""
    news = watch(file, read(file))
    replace(file, text_of(2))
    await Following(news).next()
    waiting = asyncio.create_task(anext(news))
    await asyncio.sleep(0)
    began = time.monotonic()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.monotonic() - began < 1


async def test_a_directory_that_is_not_there_cannot_be_watched(tmp_path):
    """What the system refuses is one clear error, not silence."""
    news = watch(tmp_path / "gone" / "mesh.yaml", Mesh())
    with pytest.raises(OSError, match=r"gone: cannot be watched for changes: "):
        await anext(news)
