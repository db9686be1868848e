import assert from "node:assert/strict";
import http from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import workerThreads from "node:worker_threads";
import { install, using } from "../src/index";
import { followOverrides } from "../src/worker-threads";
import { calling, serving } from "./serving";

install();
followOverrides();

const FILE = join(__dirname, "../../test/fixtures/worker.js");

interface Answer {
  readonly of: string;
  readonly name?: string;
  readonly route?: string;
  readonly workerData?: unknown;
}

/** Starts a worker within a request, posts to it from others, and returns what it answers. */
async function answers(starter: string[], options: workerThreads.WorkerOptions = {}): Promise<Answer[]> {
  const worker = using(starter, () => new workerThreads.Worker(FILE, options));
  const found: Answer[] = [];
  worker.on("message", (answer: Answer) => found.push(answer));
  for (const name of ["a", "b"]) using(`users=${name}`, () => worker.postMessage({ name }));
  worker.postMessage({ name: "none" });
  worker.postMessage({ name: "end" });
  await new Promise((resolve, reject) => worker.once("error", reject).once("exit", resolve));
  return found;
}

function routes(found: Answer[], of: string): Record<string, string | undefined> {
  return Object.fromEntries(found.filter((one) => one.of === of).map(({ name, route }) => [name ?? of, route]));
}

test("a worker's code runs under the request that started it", async () => {
  const found = await answers(["users=starter"]);
  assert.deepEqual(
    { ...routes(found, "start"), ...routes(found, "later") },
    { start: "starter", later: "starter" },
  );
});

test("a worker that outlives its request goes on without its overrides", async (t) => {
  process.env.DETOUR_AFTER_RESPONSE = "0";
  t.after(() => {
    delete process.env.DETOUR_AFTER_RESPONSE;
  });
  const routes: (string | undefined)[] = [];
  const code = `const { current } = require(${JSON.stringify(join(__dirname, "../src/index.js"))});
    const { parentPort } = require("node:worker_threads");
    setInterval(() => parentPort.postMessage(current().route("users")), 5);`;
  let worker: workerThreads.Worker | undefined;
  const server = http.createServer((_request, response) => {
    worker = new workerThreads.Worker(code, { eval: true });
    worker.once("message", () => response.end());
    worker.on("message", (route) => routes.push(route));
  });
  await calling(await serving(t, server), "pr-a");
  while (routes.at(-1) !== undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  await worker?.terminate();
  assert.equal(routes[0], "pr-a");
});

test("a worker that no request started runs under none", async () => {
  assert.deepEqual(routes(await answers([]), "start"), { start: undefined });
});

for (const [name, workerData] of [
  ["on", undefined],
  ["onmessage", { web: true }],
] as const) {
  test(`a message is handled under the request that posted it: ${name}`, async () => {
    const found = await answers(["users=starter"], { workerData });
    assert.deepEqual(routes(found, "message"), { a: "a", b: "b", none: undefined, end: undefined });
  });
}

test("a message that is polled for is what was posted", async () => {
  const found = await answers([], { workerData: { polls: true } });
  assert.deepEqual(Object.keys(routes(found, "polled")), ["a", "b", "none", "end"]);
});

test("what a worker is given stays as it is", async () => {
  const [first] = await answers(["users=starter"], { workerData: { mine: 1 }, execArgv: ["--no-warnings"] });
  assert.deepEqual([first?.workerData, first?.route], [{ mine: 1 }, "starter"]);
});

test("a subclass, and other files than a worker's, behave as usual", () => {
  class Mine extends workerThreads.Worker {}
  assert.throws(() => new Mine("not/a/path"), { code: "ERR_WORKER_PATH" });
});
