"""Plays the story: sends each request to the running mesh, prints the result, and verifies every hop.

Invariant: a wrong hop never ends the story; it is printed with its step and counted at the end.
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from time import perf_counter

import httpx

from detour.client import AsyncClient, DeploymentIn
from detour.demo.call_tree import Call, hops
from detour.demo.http_calls import call
from detour.demo.layout import Layout
from detour.demo.narration import Narrator
from detour.demo.removal import remove_under_load, verify_removal
from detour.demo.story import LIVE_REMOVAL, STEPS, Step
from detour.demo.topology import ENTRANCE, Registration
from detour.demo.verdict import EDGE, Verifier
from detour.overrides import append_to_baggage, parse_words

_OWNER = "detour demo"
_PATH = "/rides"
_SERVED_AGAIN_SECONDS = 2
_POLL_SECONDS = 0.005


class Player:
    """Plays the story on a running mesh.

    Args:
        narrator: Prints the story.
        layout: The mesh.
        edge: A client whose base URL is the edge's.
        server: A client of the server's API.
    """

    def __init__(self, narrator: Narrator, layout: Layout, edge: httpx.AsyncClient, server: AsyncClient) -> None:
        self._narrator = narrator
        self._layout = layout
        self._edge = edge
        self._server = server
        self._verifier = Verifier(layout.topology)
        self._hops = 0
        self._wrong: list[str] = []

    async def play(self, registrations: Sequence[Registration]) -> list[str]:
        """Play the whole story, and return a description of each wrong hop.

        Raises:
            ClientError: The server refused a registration or a removal, or did not answer.
            TimeoutError: The mesh was too slow to verify the removal.
        """
        for registration in registrations:
            await self._register(registration)
        self._narrator.registered(self._layout, registrations)
        for step in STEPS:
            await self._play_step(step)
        key = (LIVE_REMOVAL.service, LIVE_REMOVAL.deployment)
        await self._play_removal(next(one for one in registrations if (one.service, one.deployment) == key))
        self._narrator.summary(self._hops, self._wrong)
        return self._wrong

    async def _play_step(self, step: Step) -> None:
        self._narrator.step(step.title)
        self._narrator.request(self._layout, _header(step.words))
        trees = [await self._send(step.words) for _ in range(step.requests)]
        self._narrator.tree(trees[-1], self._layout.topology)
        wrong = [wrong for tree in trees for wrong in self._verifier.verify(tree, step.expectation)]
        if step.spread:
            self._narrator.spread(trees, step.spread)
            wrong += self._verifier.verify_spread(trees, step.spread)
        self._record(trees, wrong, step.moral)

    async def _play_removal(self, registration: Registration) -> None:
        self._narrator.step(LIVE_REMOVAL.title)
        self._narrator.removal(self._layout, registration)
        stream = await remove_under_load(
            plain=partial(self._send, ()),
            overridden=partial(self._send, LIVE_REMOVAL.words),
            remove=partial(self._server.remove_deployment, registration.service, registration.deployment),
        )
        self._narrator.stream(stream, registration.service)
        wrong = verify_removal(self._verifier, stream, LIVE_REMOVAL.before, LIVE_REMOVAL.after)
        self._record(stream.trees(), wrong, LIVE_REMOVAL.moral)
        await self._play_return(registration)

    async def _play_return(self, registration: Registration) -> None:
        self._narrator.registration(self._layout, registration)
        await self._register(registration)
        trees = [await self._send(LIVE_REMOVAL.words)]
        # The update of sidecars that know the deployment may arrive after the server's response.
        deadline = perf_counter() + _SERVED_AGAIN_SECONDS
        while self._verifier.verify(trees[-1], LIVE_REMOVAL.before) and perf_counter() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            trees.append(await self._send(LIVE_REMOVAL.words))
        wrong = [
            wrong
            for tree in trees
            for wrong in self._verifier.verify(tree, LIVE_REMOVAL.before, LIVE_REMOVAL.after)
        ]
        wrong += self._verifier.verify(trees[-1], LIVE_REMOVAL.before)
        self._record(trees, wrong, "after another registration, it serves again immediately")

    async def _register(self, registration: Registration) -> None:
        deployment = DeploymentIn(
            service=registration.service,
            name=registration.deployment,
            endpoints=[self._layout.endpoint(one) for one in registration.instances],
            owner=_OWNER,
        )
        await self._server.register_deployment(deployment)

    async def _send(self, words: Sequence[str]) -> Call:
        header = _header(words)
        return await call(self._edge, ENTRANCE, _PATH, {"baggage": header} if header else None)

    def _record(self, trees: Iterable[Call], wrong: list[str], moral: str) -> None:
        self._hops += sum(1 for tree in trees for _ in hops(tree, EDGE))
        self._wrong += wrong
        self._narrator.verdict(moral, wrong)


def _header(words: Sequence[str]) -> str:
    return append_to_baggage(None, parse_words(words)) if words else ""
