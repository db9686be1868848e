import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import http from "node:http";
import http2 from "node:http2";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { serving } from "./serving";

const run = promisify(execFile);
const FOLDER = join(__dirname, "../..");

/** Code that calls `users`, a name that does not resolve. */
const CALLS: Readonly<Record<string, string>> = {
  fetch: `await (await fetch("http://users/x?a=b")).text()`,
  "fetch with a Request": `await (await fetch(new Request("http://users/x?a=b", { headers: { a: "b" } }))).text()`,
  "http.get": `await answered(http.get("http://users/x?a=b"))`,
  "http.request with options": `await answered(http.request({ host: "users", path: "/x?a=b", headers: { a: "b" } }).end())`,
  "http.request with URL and options": `await answered(http.request(new URL("http://users/x?a=b"), { method: "GET" }).end())`,
  "http.request with a list of headers": `await answered(http.request({ host: "users", path: "/x?a=b", headers: ["a", "b"] }).end())`,
  "an agent that keeps connections": `const agent = new http.Agent({ keepAlive: true });
    await answered(http.get("http://users/x?a=b", { agent })); agent.destroy()`,
  "a name that is imported": `await answered(get("http://users/x?a=b"))`,
  "undici.request": `await (await undici.request("http://users/x?a=b")).body.text()`,
  "undici with an agent of its own": `const dispatcher = new undici.Agent();
    await (await undici.fetch("http://users/x?a=b", { dispatcher })).text(); await dispatcher.close()`,
  "fetch behind another global agent": `undici.setGlobalDispatcher(new undici.Agent());
    await (await fetch("http://users/x?a=b")).text()`,
};

const PRELUDE = `import http, { get } from "node:http"; import http2 from "node:http2"; import { once } from "node:events";
  import { createRequire } from "node:module";
  const require = createRequire("${FOLDER}/test/x.js"); const undici = require("undici"); const { WebSocket } = require("ws");
  const answered = async (call) => { const [answer] = await once(call, "response"); answer.resume(); await once(answer, "end"); };
`;

/** Runs code with a proxy on the loopback interface that answers by itself, and returns what it was asked. */
async function asked(t: TestContext, code: string, more: Record<string, string> = {}): Promise<[string[], string]> {
  const seen: string[] = [];
  const server = http.createServer((request, response) => {
    seen.push(`${request.url} ${request.headers.host}`);
    response.end("ok");
  });
  server.on("upgrade", (request, socket) => {
    seen.push(`${request.url} ${request.headers.host} ${request.headers.upgrade}`);
    socket.end();
  });
  const proxy = await serving(t, server);
  const env = { PATH: process.env.PATH ?? "", http_proxy: proxy, ...more };
  const options = ["--require", "detour-mesh/register", "--input-type=module", "--eval", `${PRELUDE}${code}`];
  const { stderr } = await run(process.execPath, options, { cwd: FOLDER, env, timeout: 30_000 });
  return [seen, stderr];
}

for (const [name, code] of Object.entries(CALLS)) {
  test(`goes through the sidecar: ${name}`, async (t) => {
    const [seen] = await asked(t, code);
    assert.deepEqual(seen, ["http://users/x?a=b users"]);
  });
}

test("so does a WebSocket, and another port is named", async (t) => {
  const code = `const socket = new WebSocket("ws://users:8080/x"); socket.on("error", () => {}); await once(socket, "close").catch(() => {});`;
  assert.deepEqual((await asked(t, code))[0], ["http://users:8080/x users:8080 websocket"]);
});

test("so does HTTP/2, whose requests name their host by themselves", async (t) => {
  const seen: unknown[] = [];
  const server = http2.createServer((request, response) => {
    seen.push(request.headers[":authority"], request.url);
    response.end();
  });
  const code = `const session = http2.connect("http://users"); const stream = session.request({ ":path": "/x" });
    await once(stream.resume(), "close"); session.close();`;
  await asked(t, code, { http_proxy: await serving(t, server) });
  assert.deepEqual(seen, ["users:80", "/x"]);
});

test("no_proxy, the loopback interface and another's proxy are left alone", async (t) => {
  const direct = http.createServer((_request, response) => response.end("direct"));
  const url = await serving(t, direct);
  const { port } = new URL(url);
  const calls = (address: string) =>
    `for (const call of [() => fetch("${address}").then((a) => a.text()), () => answered(http.get("${address}"))])
       await call().then(() => console.error("reached"), (error) => console.error(String(error.cause ?? error)));`;
  for (const [address, no_proxy] of [
    [url, ""],
    [`http://localhost:${port}`, ""],
    [`http://a.users.test:${port}`, "b, .users.test"],
    [`http://users.test:${port}`, `users.test:${port}`],
    [`http://users.test:${port}`, "*"],
  ] as const) {
    const [seen] = await asked(t, calls(address), { no_proxy });
    assert.deepEqual(seen, [], `${address} with no_proxy=${no_proxy}`);
  }
  const [, stderr] = await asked(t, calls(url), { http_proxy: "http://proxy.example.test:3128" });
  assert.equal(stderr, "reached\nreached\n");
});

test("a client that knows only one host is named: it does not pass the sidecar", async (t) => {
  const code = `const client = new undici.Client("http://users.invalid");
    await client.request({ method: "GET", path: "/" }).catch(() => {}); client.destroy();`;
  const [seen, stderr] = await asked(t, code);
  assert.deepEqual(seen, []);
  assert.match(stderr, /calls to http:\/\/users\.invalid bypass the sidecar/);
});
