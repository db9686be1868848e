"""CPU time that an edge spends on a request, in a scenario and in none, as ratios.

Measured as in `bench.cpu`, with the same slices in the same shuffled rounds. The plain Envoy beside it is what a
plain edge is set to: it takes the client's address for what it is, normalises paths and gives each request an id.
Clients send what a browser sends on a page's call to its own host; both Envoys get the same requests.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from bench.cpu import Candidate, Feature, Slices, Start, cores_apart, in_rounds, loaded
from bench.envoys import plain_bootstrap
from bench.load import LoadError
from bench.mesh import BASELINE, OFFLOADED, BenchMesh, Caller, bench_mesh, free_ports, until
from bench.options import Options
from bench.report import Row
from bench.server import Server

SERVICE: Final = "users"
DEPLOYMENT: Final = "pr-42"
SCENARIO: Final = "checkout"
_OTHERS: Final = 1_000

BROWSER: Final = {
    "Host": "staging.example.test",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br",
    "accept-language": "en",
    "referer": "https://staging.example.test/rides",
    "cookie": "session=8d0f7c5e4a6b4c0f9a1d; theme=dark",
}
WITH_COOKIE: Final = {**BROWSER, "cookie": f"{BROWSER['cookie']}; detour={SCENARIO}"}
_WITH_HEADER: Final = {**BROWSER, "x-detour-scenario": SCENARIO}
_ON_HOST: Final = {**BROWSER, "Host": f"{SCENARIO}.preview.example.test"}


async def measure(options: Options) -> list[Row]:
    """Return the ratios of CPU time per request."""
    with cores_apart() as core:
        slices = await _slices(options.rounds, core)
    return [
        slices.ratio("CPU per request without a scenario, edge / plain Envoy", "edge", "plain", 1.03),
        slices.ratio(
            "CPU per request with a scenario's cookie, edge / plain Envoy", "cookie", "plain, cookie", 1.25
        ),
        slices.ratio("the same with 1,000 scenarios more / without", "cookie of 1,000", "cookie"),
        slices.ratio("CPU per request on a preview host, edge / plain Envoy", "host", "plain"),
        slices.ratio("CPU per request with a scenario's header, edge / plain Envoy", "header", "plain"),
        slices.ratio("identical plain Envoys, one / the other", "plain again", "plain"),
    ]


async def _slices(rounds: int, core: int) -> Slices:
    async with bench_mesh() as lasting:
        await lasting.origin()
        few, many = await lasting.server(), await lasting.server()
        for server in (few, many):
            await server.add(SERVICE, DEPLOYMENT, lasting.offloaded)
            await server.save(SCENARIO, route_users=DEPLOYMENT, delay_payments="300ms")
        for number in range(_OTHERS):
            await many.save(f"other-{number}", route_users=f"pr-{number}")
        port = lasting.baseline_port
        return await in_rounds(rounds, lambda fresh: _candidates(fresh, port, few, many, core))


async def _candidates(
    fresh: BenchMesh, origin_port: int, few: Server, many: Server, core: int
) -> dict[str, Candidate]:
    plain, edge = partial(plain_envoy, fresh, origin_port), partial(started, fresh, few)
    wanted: dict[str, tuple[Start, Mapping[str, str]]] = {
        "plain": (plain, BROWSER),
        "plain again": (plain, BROWSER),
        "plain, cookie": (plain, WITH_COOKIE),
        "edge": (edge, BROWSER),
        "cookie": (edge, WITH_COOKIE),
        "cookie of 1,000": (partial(started, fresh, many), WITH_COOKIE),
        "host": (edge, _ON_HOST),
        "header": (edge, _WITH_HEADER),
    }
    return await loaded(fresh, wanted, core)


async def plain_envoy(mesh: BenchMesh, origin_port: int, features: Sequence[Feature] = ()) -> Caller:
    """Start a plain Envoy, set to what a plain edge is."""
    port, admin = free_ports(2)
    guard = {"use_remote_address": True, "normalize_path": True, "generate_request_id": True}
    bootstrap = plain_bootstrap(admin, port, "*", ("127.0.0.1", origin_port), **guard)
    for add in features:
        add(bootstrap)
    return await mesh.caller(bootstrap, port, admin)


async def started(mesh: BenchMesh, server: Server) -> Caller:
    """Start an edge, and see that it sends each kind of request where it should."""
    caller = await mesh.edge(server)

    async def serves() -> bool:
        return (await caller.get(BROWSER)).text == BASELINE

    await until(serves, "the edge's routes")
    answers = [(await caller.get(headers)).text for headers in (BROWSER, WITH_COOKIE, _WITH_HEADER, _ON_HOST)]
    if answers != [BASELINE, OFFLOADED, OFFLOADED, OFFLOADED]:
        raise LoadError(f"the edge is to answer baseline once and then offloaded, and answered {answers}")
    return caller
