"""The SDK for TypeScript: its own tests, where Node.js is."""

import asyncio
import json
import os
import subprocess
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import postgresql
from detour.mesh import OffloadedDeployment, Protocol, Service
from parts import grpc_instance, http_instance, running_mesh
from propagation.brokers import Broker
from propagation.brokers.jvm import ELASTICMQ
from propagation.brokers.packaged import RABBITMQ
from propagation.toolchains import TOOLCHAINS

SDK = Path(__file__).parents[2] / "sdk" / "typescript"


@pytest.fixture(autouse=True)
def built() -> None:
    """Build it, as for publishing."""
    if missing := TOOLCHAINS["TypeScript"].why_not():
        pytest.skip(missing)


def run(broker: Broker, folder: Path, *tests: str) -> None:
    """Run tests by Node's own runner, with a broker where there is one; else those that need it are left out."""
    with ExitStack() as running:
        found = {} if broker.why_not() else dict(running.enter_context(broker.running(folder)))
        if not postgresql.why_not():
            # Not below pytest's own folder: where tests run as root it is closed to PostgreSQL's user.
            own = running.enter_context(TemporaryDirectory(prefix="detour-postgresql-"))
            database = running.enter_context(postgresql.running(Path(own)))
            found["POSTGRES_URL"] = f"{database}/postgres"
        command = ["node", "--no-warnings", "--test", *tests]
        environment = {**os.environ, **found}
        ran = subprocess.run(
            command, cwd=SDK, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]


def test_its_own_tests_pass(tmp_path: Path) -> None:
    """RabbitMQ and PostgreSQL are real; SQS is a stand-in here."""
    subprocess.run(["npx", "tsc"], cwd=SDK, check=True, timeout=120)
    run(RABBITMQ, tmp_path, "dist/test/")


@pytest.mark.more
def test_sqs_is_real_where_it_can_be_had(tmp_path: Path) -> None:
    """ElasticMQ speaks it."""
    if missing := ELASTICMQ.why_not():
        pytest.skip(missing)
    subprocess.run(["npx", "tsc"], cwd=SDK, check=True, timeout=120)
    run(ELASTICMQ, tmp_path, "dist/test/sqs.test.js")


CALLS = """
const http = require("node:http"), http2 = require("node:http2"), { once } = require("node:events");
const { text } = require("node:stream/consumers");
const undici = require("undici"), { WebSocket } = require("ws"), grpc = require("@grpc/grpc-js");
const { using } = require("detour-mesh");
const got = async (call) => {
  const [answer] = await once(call, "response");
  return JSON.parse(await text(answer)).instance;
};
const Relay = grpc.makeGenericClientConstructor({ Unary: {
  path: "/test.Echo/Unary", requestStream: false, responseStream: false,
  requestSerialize: Buffer.from, requestDeserialize: String,
  responseSerialize: Buffer.from, responseDeserialize: String,
} });
const calls = {
  fetch: async () => (await (await fetch("http://users/")).json()).instance,
  "http.get": () => got(http.get("http://users/")),
  "an agent": () => got(http.get("http://users/", { agent: new http.Agent({ keepAlive: true }) })),
  "undici.request": async () => (await (await undici.request("http://users/")).body.json()).instance,
  ws: async () => {
    const socket = new WebSocket("ws://users/ws");
    const [first] = await once(socket, "message");
    socket.terminate();
    return String(first);
  },
  "grpc-js": () => new Promise((resolve) =>
    new Relay("greeter", grpc.credentials.createInsecure()).Unary("", (error, answer) => resolve(answer ?? error))),
  http2: async () => {
    const session = http2.connect("http://greeter");
    const stream = session.request({ ":method": "POST", ":path": "/test.Echo/Unary",
      "content-type": "application/grpc", te: "trailers" });
    stream.end(Buffer.alloc(5));
    return (await text(stream)).slice(5);
  },
};
(async () => {
  const answers = {};
  for (const [name, call] of Object.entries(calls)) {
    answers[name] = [await using(["users=pr-42", "greeter=pr-7"], call), await call()];
  }
  console.log(JSON.stringify(answers));
  process.exit();
})();
"""


async def test_clients_that_ignore_proxies_go_through_the_sidecar(tmp_path: Path) -> None:
    """Each reaches the deployment that is overridden, and else the baseline; nobody resolves their names."""
    subprocess.run(["npx", "tsc"], cwd=SDK, check=True, timeout=120)
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        users, changed = await start(http_instance("users-1")), await start(http_instance("users-pr-42"))
        greeter, other = await start(grpc_instance("greeter-1")), await start(grpc_instance("greeter-pr-7"))
        services = [Service("users", (users,)), Service("greeter", (greeter,), Protocol.HTTP2)]
        deployments = [
            OffloadedDeployment("users", "pr-42", (changed,)),
            OffloadedDeployment("greeter", "pr-7", (other,)),
        ]
        sidecar = await (await start(running_mesh(tmp_path, services, deployments))).sidecar()
        command = ("node", "--require", "detour-mesh/register", "--eval", CALLS)
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=SDK,
            env={**os.environ, "http_proxy": f"http://127.0.0.1:{sidecar.port}", "no_proxy": ""},
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await asyncio.wait_for(process.communicate(), 120)
    by_http, by_grpc = ["users-pr-42", "users-1"], ["greeter-pr-7:", "greeter-1:"]
    expected = dict.fromkeys(["fetch", "http.get", "an agent", "undici.request", "ws"], by_http)
    assert json.loads(printed) == expected | {"grpc-js": by_grpc, "http2": by_grpc}
