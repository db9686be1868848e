/** The example of README.md for worker threads, line by line: tests/docs compares them. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { install, using } from "detour-mesh";
import { followOverrides } from "detour-mesh/worker-threads";

install();
followOverrides();

test("a worker's code runs under the request that started it", async () => {
  const { Worker } = require("node:worker_threads") as typeof import("node:worker_threads");
  const code = `require("node:worker_threads").parentPort.postMessage(require("detour-mesh").current().route("users"))`;
  const worker = using("users=pr-42", () => new Worker(code, { eval: true }));
  assert.deepEqual(await once(worker, "message"), ["pr-42"]);
  await worker.terminate();
});
